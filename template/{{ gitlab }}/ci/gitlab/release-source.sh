#!/bin/sh
echo "ci/gitlab/release-source.sh has moved, and goes in a later release: call ci/pipeline/release-source.sh" >&2
exec sh ci/pipeline/release-source.sh "$@"
