#!/bin/sh
# Checks .pipeline/release.tar, or .pipeline/debug.tar as its twin, and notes which
# file it was, so that no other can be published.
. ci/pipeline/common.sh

target=${1:-}
find_source
find_version
set --
# An image on scratch has no base whose digest could be a label.
[ "$BASE_NAME" = scratch ] || set -- "$@" --strict
case $target in
  release) ;;
  debug) set -- "$@" --twin "$PWD/$work/release.tar" ;;
  *) fail "usage: verify.sh release|debug" ;;
esac
file=$PWD/$work/$target.tar
# The tool is the checkout's, as this script is; the repository is what was built.
python3 ci/conformance image "$file" --repo "$source_dir" "$@"
sum=$(sha256sum "$file" | cut -d ' ' -f 1)
echo "$(printf '%s' "$target" | tr '[:lower:]' '[:upper:]')_SHA256=$sum" >"$work/verify-$target.env"
