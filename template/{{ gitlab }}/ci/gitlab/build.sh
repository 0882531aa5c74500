#!/bin/sh
echo "ci/gitlab/build.sh has moved, and goes in a later release: call ci/pipeline/build.sh" >&2
exec sh ci/pipeline/build.sh "$@"
