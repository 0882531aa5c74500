#!/bin/sh
# Scaffolds a service from this checkout: scripts/new.sh COPIER DEST [COPIER_OPTION ...]
#
# DATA="question=answer …" answers questions: an answer may have spaces, and several may
# stand on a line each. Takes the newest release that the checkout contains, or its last
# commit where there is none. The service remembers where updates come from: the checkout's
# remote where that has the commit too, the checkout's absolute path otherwise.
set -eu
unset CDPATH
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_COMMON_DIR GIT_OBJECT_DIRECTORY GIT_NAMESPACE GIT_PREFIX
# No hook of a person's own runs in what Copier does.
count=${GIT_CONFIG_COUNT:-0}
export "GIT_CONFIG_KEY_$count=core.hooksPath" "GIT_CONFIG_VALUE_$count=/dev/null"
export GIT_CONFIG_COUNT=$((count + 1))

[ $# -ge 2 ] || {
  echo "usage: scripts/new.sh COPIER DEST [COPIER_OPTION ...]" >&2
  exit 2
}
copier=$1
destination=$2
shift 2
checkout=$(cd "$(dirname "$0")/.." && pwd)

if [ -e "$destination" ] && { [ ! -d "$destination" ] || [ -n "$(ls -A "$destination")" ]; }; then
  echo "new: $destination exists and is not an empty directory; choose another DEST" >&2
  exit 2
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
sh "$checkout/scripts/source.sh" new >"$scratch/source"
{
  IFS= read -r commit
  IFS= read -r source
  while IFS= read -r data; do
    set -- "$@" --data "$data"
  done
} <"$scratch/source"

code=0
"$copier" copy --vcs-ref "$commit" "$@" "$source" "$destination" 2>"$scratch/errors" || code=$?
if [ "$code" != 0 ] && grep -q '^Traceback' "$scratch/errors"; then
  # From the last exception on: what it says may have several lines.
  awk '/^[A-Za-z_][A-Za-z0-9_.]*(: |$)/ { text = "" } { text = text $0 "\n" } END { printf "%s", text }' \
    "$scratch/errors" >&2
else
  cat "$scratch/errors" >&2
fi
exit "$code"
