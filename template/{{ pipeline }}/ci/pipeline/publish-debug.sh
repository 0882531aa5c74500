#!/bin/sh
# Pushes the twin that was verified, by its digest and without a tag.
. ci/pipeline/common.sh

may_publish
find_version
noted verify-debug DEBUG_SHA256
login
same_bytes "$work/debug.tar" "$DEBUG_SHA256"
push_tarball "$work/debug.tar"
echo "published $IMAGE_REPOSITORY@$pushed"
echo "DEBUG_DIGEST=$pushed" >"$work/publish-debug.env"
