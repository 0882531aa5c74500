#!/bin/sh
echo "ci/gitlab/local.sh has moved, and goes in a later release: call ci/pipeline/local.sh" >&2
exec sh ci/pipeline/local.sh "$@"
