#!/bin/sh
# Opens a merge request that sets what was promoted in an overlay of a GitOps repository, or
# renews the one that is open: the digest of the release, and that of its twin. With
# ROLLBACK_TO, `previous` or a release's digest, it puts both back from the overlay's history.
. ci/pipeline/common.sh
. ci/pipeline/merge-request.sh

# GitHub starts the job without it, too.
if [ "$provider" = github ] && [ -z "${GITOPS_TOKEN:-}${ROLLBACK_TO:-}" ]; then
  echo "the secret GITOPS_TOKEN is not set: no pull request is opened"
  exit
fi
need "hand-off.yml says what the job wants" GITOPS_REPOSITORY GITOPS_TOKEN
need "$settings has it" IMAGE_REPOSITORY
command -v git >/dev/null 2>&1 || fail "there is no git: the image GITOPS_IMAGE, or the runner, wants it"
overlay=${GITOPS_PATH:-deploy/overlays/production}/kustomization.yaml
service=${IMAGE_REPOSITORY##*/}
branch=deploy/$service
remote=$GITOPS_REPOSITORY
signature='Opened-by: ci/pipeline/hand-off.sh'
case $GITOPS_REPOSITORY in
  *@*) fail "GITOPS_REPOSITORY has a user in it, want https://gitlab.example.com/acme/gitops.git" ;;
  "$server_url"/*/*) ;;
  http://*/* | https://*/*)
    [ "$provider" != github ] || fail "GITOPS_REPOSITORY is \"$GITOPS_REPOSITORY\", want a repository below $server_url"
    ;;
  *) fail "GITOPS_REPOSITORY is \"$GITOPS_REPOSITORY\", want https://gitlab.example.com/acme/gitops.git" ;;
esac

if [ -z "${ROLLBACK_TO:-}" ]; then
  if [ ! -f "$work/promote.env" ]; then
    echo "promote has moved no tag of a release: there is nothing to hand over"
    exit
  fi
  noted promote RELEASE_DIGEST DEBUG_DIGEST SERVICE_VERSION
elif [ "$ROLLBACK_TO" != previous ]; then
  check ROLLBACK_DIGEST "$ROLLBACK_TO" "ROLLBACK_TO wants previous, or the digest of a release"
fi

use_token Hand-off GITOPS_TOKEN
ask "cannot clone $GITOPS_REPOSITORY" clone --quiet --single-branch "$GITOPS_REPOSITORY" "$scratch/gitops"
script=$PWD/ci/pipeline/overlay.awk
cd "$scratch/gitops" || exit
[ -f "$overlay" ] || fail "$GITOPS_REPOSITORY has no $overlay: set GITOPS_PATH to the overlay's directory"

# Leaves in $pair the digests that the overlay has at commit $1: the release's, the twin's.
read_pair() {
  git show "$1:$overlay" >"$scratch/overlay" 2>/dev/null || : >"$scratch/overlay"
  twin=$(sed -n "s|^  debug-image: $IMAGE_REPOSITORY@||p" "$scratch/overlay")
  pair="$(sed -n 's/^  debug-image-of: //p' "$scratch/overlay") $twin"
}

if [ -n "${ROLLBACK_TO:-}" ]; then
  read_pair HEAD
  now=$pair
  RELEASE_DIGEST=''
  for commit in $(git rev-list HEAD -- "$overlay"); do
    read_pair "$commit"
    case "$pair" in
      "$now" | ' '* | *' ') continue ;;
    esac
    if [ "$ROLLBACK_TO" = previous ] || [ "$ROLLBACK_TO" = "${pair% *}" ]; then
      RELEASE_DIGEST=${pair% *} DEBUG_DIGEST=${pair#* }
      break
    fi
  done
  [ -n "$RELEASE_DIGEST" ] || fail "the history of $overlay has no other pair of digests for $ROLLBACK_TO"
  check RELEASE_DIGEST "$RELEASE_DIGEST" "$overlay at $commit"
  check DEBUG_DIGEST "$DEBUG_DIGEST" "$overlay at $commit"
  title="Roll $service back to $RELEASE_DIGEST"
else
  title="Deploy $service $SERVICE_VERSION"
fi

awk -v repository="$IMAGE_REPOSITORY" -v digest="$RELEASE_DIGEST" -v twin="$DEBUG_DIGEST" \
  -f "$script" "$overlay" >"$scratch/overlay" ||
  fail "$overlay has no entry below images: with $IMAGE_REPOSITORY as its newName"
cat "$scratch/overlay" >"$overlay"
if [ -z "$(git status --porcelain)" ]; then
  echo "$overlay has $RELEASE_DIGEST and its twin already"
  exit
fi

target=$(git rev-parse --abbrev-ref HEAD)
find_branch
must_be_own 'Opened-by: ci/pipeline/hand-off[.]sh'
git add --all
git commit --quiet --no-verify --message "$title" \
  --message "$IMAGE_REPOSITORY@$RELEASE_DIGEST, and $DEBUG_DIGEST as its twin." --message "$signature"
open_request "$target" "$title"
