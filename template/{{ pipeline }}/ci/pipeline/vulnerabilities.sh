#!/bin/sh
# Says what to do about each flaw that the job scan found, and stops where a package of the
# team's has a bump due. More arguments go to the tool.
. ci/pipeline/common.sh

find_source
find_version
case ${VULNERABILITY_DB_MAX_AGE:=120} in
  '' | 0* | *[!0-9]*) fail "VULNERABILITY_DB_MAX_AGE is \"$VULNERABILITY_DB_MAX_AGE\": want hours, such as 120" ;;
esac
# The tool and the records are the checkout's, in a scheduled pipeline those of the default
# branch; the lock file is that of what was built.
python3 ci/conformance vulnerabilities "$work/release.scan.json" --source "$source_dir" \
  --max-age "$VULNERABILITY_DB_MAX_AGE" "$@"
