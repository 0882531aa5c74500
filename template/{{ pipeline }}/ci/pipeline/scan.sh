#!/bin/sh
# Looks for known flaws in what .pipeline/release.spdx.json names, with Grype. What to do about
# each the job vulnerabilities says.
#
# The database of flaws is an input: VULNERABILITY_DB_URL is the address of a list of databases,
# as https://grype.anchore.io/databases/v6/latest.json is, or that of one database (.tar.zst).
. ci/pipeline/common.sh

find_version
noted sbom RELEASE_SBOM_SHA256
same_bytes "$work/release.spdx.json" "$RELEASE_SBOM_SHA256"
top=$PWD
database=${VULNERABILITY_DB_URL:-https://grype.anchore.io/databases/v6/latest.json}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Grype lies at the top of its image. Outside the checkout it finds no settings that hide
# flaws. How old its database may be the job vulnerabilities looks after.
export PATH="$PATH:/" GRYPE_CHECK_FOR_APP_UPDATE=false GRYPE_DB_AUTO_UPDATE=false \
  GRYPE_DB_VALIDATE_AGE=false GRYPE_DB_CACHE_DIR="$scratch/db" GRYPE_DB_UPDATE_URL="$database"
cd "$scratch" || exit
case $database in
  *.tar.*) grype --quiet db import "$database" ;;
  *) grype --quiet db update ;;
esac || fail "cannot get the database of flaws from $database: VULNERABILITY_DB_URL names another"
grype db status
grype --quiet --output json --file "$top/$work/release.scan.json" "sbom:$top/$work/release.spdx.json" ||
  fail "cannot scan $work/release.spdx.json: see the lines above"
