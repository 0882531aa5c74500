#!/bin/sh
echo "ci/gitlab/verify.sh has moved, and goes in a later release: call ci/pipeline/verify.sh" >&2
exec sh ci/pipeline/verify.sh "$@"
