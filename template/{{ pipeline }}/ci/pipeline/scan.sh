#!/bin/sh
# Looks for known flaws in what .pipeline/release.spdx.json names. What to do about each the
# job vulnerabilities says.
. ci/pipeline/common.sh
. ci/pipeline/grype.sh

find_version
noted sbom RELEASE_SBOM_SHA256
same_bytes "$work/release.spdx.json" "$RELEASE_SBOM_SHA256"
take_database
look_for_flaws "sbom:$PWD/$work/release.spdx.json" "$work/release.scan.json"
