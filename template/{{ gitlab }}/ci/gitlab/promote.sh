#!/bin/sh
echo "ci/gitlab/promote.sh has moved, and goes in a later release: call ci/pipeline/promote.sh" >&2
exec sh ci/pipeline/promote.sh "$@"
