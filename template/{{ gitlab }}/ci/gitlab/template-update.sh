#!/bin/sh
echo "ci/gitlab/template-update.sh has moved, and goes in a later release: call ci/pipeline/template-update.sh" >&2
exec sh ci/pipeline/template-update.sh "$@"
