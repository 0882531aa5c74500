#!/bin/sh
# Looks for known flaws in what .pipeline/release.spdx.json names; what to do about each the job
# vulnerabilities says. Or in .pipeline/debug.spdx.json, the twin's: these are for the log, since
# all that it has of its own is from a base, and a rebuild brings the fix.
. ci/pipeline/common.sh
. ci/pipeline/grype.sh

target=${1:-}
find_version
case $target in
  release)
    noted sbom RELEASE_SBOM_SHA256
    sum=$RELEASE_SBOM_SHA256
    ;;
  debug)
    noted sbom-debug DEBUG_SBOM_SHA256
    sum=$DEBUG_SBOM_SHA256
    ;;
  *) fail "usage: scan.sh release|debug" ;;
esac
same_bytes "$work/$target.spdx.json" "$sum"
take_database
look_for_flaws "sbom:$PWD/$work/$target.spdx.json" "$work/$target.scan.json"
[ "$target" = release ] || show_flaws "sbom:$PWD/$work/$target.spdx.json"
