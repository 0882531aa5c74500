#!/bin/sh
# Prints the directory of the files that this pipeline is about, for a job that runs in
# the CI image: `source=$(sh ci/pipeline/source.sh)`. Stops where they are not what the
# jobs before have left, or where the job runs in another image.
. ci/pipeline/common.sh

given=${BUILDER_IMAGE:-}
noted ci-image BUILDER_IMAGE
[ "${given:-$BUILDER_IMAGE}" = "$BUILDER_IMAGE" ] ||
  fail "this job runs in $given, and the CI image is $BUILDER_IMAGE: a variable BUILDER_IMAGE of the project, the group or .gitlab-ci.yml hides it; give that another name"
find_source
printf '%s\n' "$source_dir"
