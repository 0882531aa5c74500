#!/bin/sh
echo "ci/gitlab/resolve.sh has moved, and goes in a later release: call ci/pipeline/resolve.sh" >&2
exec sh ci/pipeline/resolve.sh "$@"
