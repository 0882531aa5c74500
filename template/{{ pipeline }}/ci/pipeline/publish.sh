#!/bin/sh
# Pushes the tarball that was verified, by its digest and without a tag.
. ci/pipeline/common.sh

may_publish
find_version
noted build BUILT_WITH
noted verify-release RELEASE_SHA256
login
same_bytes "$work/release.tar" "$RELEASE_SHA256"
push_tarball "$work/release.tar"
echo "published $IMAGE_REPOSITORY@$pushed"
{
  echo "RELEASE_DIGEST=$pushed"
  echo "BUILT_WITH=$BUILT_WITH"
} >"$work/publish.env"
