#!/bin/sh
# Puts the files of the newest release, the highest version that git has a tag for,
# into .pipeline/source: a scheduled pipeline rebuilds what runs in production, not
# what lies on the branch.
. ci/pipeline/common.sh

# The workspace may belong to another user than the one that runs the job.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'

[ "$(git rev-parse --is-shallow-repository)" = false ] ||
  fail "the clone is shallow, so it may not have the newest tag: GIT_DEPTH is \"${GIT_DEPTH:-}\" for this job, want 0; a variable of the project or the group hides the job's"

# Without a v, so that v1.10.0 and 1.9.0 sort by version.
version=$(git for-each-ref --format='%(refname:lstrip=2)' refs/tags | sed 's/^v//' | newest_version)
[ -n "$version" ] ||
  fail "nothing to rebuild: git has no tag such as v1.4.2; release first, or stop the schedule"
tag=v$version
git rev-parse --quiet --verify "refs/tags/$tag" >/dev/null || tag=$version

rm -rf "$work/source"
mkdir -p "$work/source"
export GIT_INDEX_FILE="$PWD/$work/index"
git read-tree "refs/tags/$tag"
git checkout-index --all --prefix="$work/source/"
rm -f "$GIT_INDEX_FILE"

revision=$(git rev-parse "refs/tags/$tag^{commit}")
echo "rebuilding $tag ($revision)"
{
  echo "RELEASE_TAG=$tag"
  echo "RELEASE_REVISION=$revision"
  echo "SOURCE_SHA256=$(tree_sum "$work/source")"
} >"$work/release-source.env"
