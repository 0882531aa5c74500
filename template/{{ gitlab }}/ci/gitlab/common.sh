# shellcheck shell=sh
echo "ci/gitlab/common.sh has moved, and goes in a later release: read ci/pipeline/common.sh" >&2
. ci/pipeline/common.sh
