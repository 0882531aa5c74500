#!/bin/sh
# Moves the tags to what the job attest let through: the release's and the twin's, both or none.
. ci/pipeline/common.sh

may_publish
rm -f "$work/promote.env"
find_version
noted attest RELEASE_DIGEST DEBUG_DIGEST
login
release=$RELEASE_DIGEST
debug=$DEBUG_DIGEST
for digest in "$release" "$debug"; do
  [ "$(published "$IMAGE_REPOSITORY@$digest")" = "$digest" ] ||
    fail "$IMAGE_REPOSITORY@$digest is not there: start a new pipeline"
done

# Looks up tag $1 and its twin; leaves their digests in $old and $old_debug.
look_up() {
  old=$(published "$IMAGE_REPOSITORY:$1") || exit 1
  old_debug=$(published "$IMAGE_REPOSITORY:$1-debug") || exit 1
}

# Moves tag $1 and its twin. If the second cannot be moved the first goes back; one
# that is new cannot, since not every registry takes a tag away, and waits.
move() {
  look_up "$1"
  if [ "$old" = "$release" ] && [ "$old_debug" = "$debug" ]; then
    echo "$IMAGE_REPOSITORY:$1 and $1-debug are there"
    return
  fi
  crane tag "$IMAGE_REPOSITORY@$debug" "$1-debug" || fail "cannot move $1-debug; no tag has moved"
  if ! crane tag "$IMAGE_REPOSITORY@$release" "$1"; then
    [ -n "$old_debug" ] || fail "cannot set $1; $1-debug waits for it: run this job again"
    crane tag "$IMAGE_REPOSITORY@$old_debug" "$1-debug" ||
      fail "cannot move $1, nor $1-debug back: the pair is split until this job is run again"
    fail "cannot move $1; $1-debug is back where it was"
  fi
  echo "$IMAGE_REPOSITORY:$1 is $release"
  echo "$IMAGE_REPOSITORY:$1-debug is $debug"
}

# Sets tag $1 and its twin, once: a pair that is complete never moves.
settle() {
  look_up "$1"
  if [ -z "$old" ] || [ -z "$old_debug" ]; then
    move "$1"
  elif [ "$old" = "$release" ] && [ "$old_debug" = "$debug" ]; then
    echo "$IMAGE_REPOSITORY:$1 and $1-debug are there"
  else
    return 1
  fi
}

if [ "$KIND" = branch ]; then
  settle "$SERVICE_VERSION" || echo "$IMAGE_REPOSITORY:$SERVICE_VERSION is there from an earlier pipeline, and stays"
  exit
fi

settle "$SERVICE_VERSION-b$BUILD" ||
  fail "$IMAGE_REPOSITORY:$SERVICE_VERSION-b$BUILD is another image and never moves: start a new pipeline"

# Builds of this version of which both tags are there.
tags=$(crane ls "$IMAGE_REPOSITORY") || fail "cannot list the tags of $IMAGE_REPOSITORY: see the lines above"
newest=$(printf '%s\n' "$tags" | awk -v prefix="$SERVICE_VERSION-b" '
  index($0, prefix) == 1 {
    build = substr($0, length(prefix) + 1)
    if (build ~ /^[0-9]+$/) release[build] = 1
    else if (sub(/-debug$/, "", build) && build ~ /^[0-9]+$/) twin[build] = 1
  }
  END {
    for (build in release) if (build in twin && build + 0 > newest) newest = build + 0
    print newest + 0
  }')
if [ "$newest" -gt "$BUILD" ]; then
  echo "$IMAGE_REPOSITORY:$SERVICE_VERSION stays: b$newest is newer than b$BUILD"
  exit
fi
move "$SERVICE_VERSION"

# What the job hand-off puts into an overlay, and how a person does.
printf '%s\n' "SERVICE_VERSION=$SERVICE_VERSION-b$BUILD" "RELEASE_DIGEST=$release" "DEBUG_DIGEST=$debug" >"$work/promote.env"
echo "deploy it, in the directory of an overlay, also to go back to it later:"
echo "  kustomize edit set image ${IMAGE_REPOSITORY##*/}=$IMAGE_REPOSITORY@$release && kustomize edit set annotation debug-image:$IMAGE_REPOSITORY@$debug debug-image-of:$release"
