# Grype and its database, for the jobs that look for flaws.
#
# The database is an input: VULNERABILITY_DB_URL is the address of a list of databases, as
# https://grype.anchore.io/databases/v6/latest.json is, or that of one database (.tar.zst).
# shellcheck shell=sh

# Leaves the database in a directory of its own, $grype_dir, and says when it was built. How
# old it may be conformance looks after.
take_database() {
  database=${VULNERABILITY_DB_URL:-https://grype.anchore.io/databases/v6/latest.json}
  grype_dir=$(mktemp -d)
  trap 'rm -rf "$grype_dir"' EXIT
  # The program lies at the top of its image.
  export PATH="$PATH:/" GRYPE_CHECK_FOR_APP_UPDATE=false GRYPE_DB_AUTO_UPDATE=false \
    GRYPE_DB_VALIDATE_AGE=false GRYPE_DB_CACHE_DIR="$grype_dir/db" GRYPE_DB_UPDATE_URL="$database"
  case $database in
    *.tar.*) grype --quiet db import "$database" ;;
    *) grype --quiet db update ;;
  esac || fail "cannot get the database of flaws from $database: VULNERABILITY_DB_URL names another"
  grype db status
}

# Scans $1 to the file $2.
look_for_flaws() {
  to=$PWD/$2
  # Outside the checkout it finds no settings that hide flaws.
  (cd "$grype_dir" && grype --quiet --output json --file "$to" "$1") ||
    fail "cannot scan ${1#*:}: see the lines above"
}

# Shows what there is in $1, as Grype does.
show_flaws() {
  (cd "$grype_dir" && grype --quiet "$1") || fail "cannot scan ${1#*:}: see the lines above"
}
