#!/bin/sh
echo "ci/gitlab/publish.sh has moved, and goes in a later release: call ci/pipeline/publish.sh" >&2
exec sh ci/pipeline/publish.sh "$@"
