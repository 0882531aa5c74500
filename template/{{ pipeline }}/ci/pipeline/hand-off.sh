#!/bin/sh
# Opens a merge request that sets what was promoted in an overlay of a GitOps repository, or
# renews the one that is open: the digest of the release, and that of its twin. With
# ROLLBACK_TO, `previous` or a release's digest, it puts both back from the overlay's history.
#
# git gets the token from a credential helper that reads it from the environment: it
# is in no URL, on no command line and in no file.
. ci/pipeline/common.sh

need "ci/gitlab/hand-off.yml says what the job wants" GITOPS_REPOSITORY GITOPS_TOKEN
need ".gitlab-ci.yml has it" IMAGE_REPOSITORY
command -v git >/dev/null 2>&1 || fail "the job's image has no git: GITOPS_IMAGE wants it"
overlay=${GITOPS_PATH:-deploy/overlays/production}/kustomization.yaml
service=${IMAGE_REPOSITORY##*/}
branch=deploy/$service
signature='Opened-by: ci/pipeline/hand-off.sh'
case $GITOPS_REPOSITORY in
  *@*) fail "GITOPS_REPOSITORY has a user in it, want https://gitlab.example.com/acme/gitops.git" ;;
  http://*/* | https://*/*) ;;
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

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
host=$(printf '%s\n' "$GITOPS_REPOSITORY" | sed 's|^\([a-z]*://[^/]*\)/.*|\1|')
export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_GLOBAL="$scratch/gitconfig"
git config --global credential.helper ''
# shellcheck disable=SC2016 # the shell that git starts expands it
git config --global "credential.$host.helper" \
  '!f() { echo username=hand-off; echo "password=$GITOPS_TOKEN"; }; f'
if [ -n "${CI_SERVER_TLS_CA_FILE:-}" ]; then
  git config --global "http.$host.sslCAInfo" "$CI_SERVER_TLS_CA_FILE"
fi
export GIT_AUTHOR_NAME="${GIT_AUTHOR_NAME:-Hand-off}" \
  GIT_AUTHOR_EMAIL="${GIT_AUTHOR_EMAIL:-hand-off@noreply.${CI_SERVER_HOST:-localhost}}"
export GIT_COMMITTER_NAME="$GIT_AUTHOR_NAME" GIT_COMMITTER_EMAIL="$GIT_AUTHOR_EMAIL"

# Runs git and keeps its answer; $1 says what did not work.
ask() {
  what=$1
  shift
  git "$@" >"$scratch/answer" 2>&1 || {
    cat "$scratch/answer" >&2
    fail "$what; GITOPS_TOKEN wants the scope write_repository and the role Developer"
  }
}

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
ask "cannot read $GITOPS_REPOSITORY" ls-remote "$GITOPS_REPOSITORY" "refs/heads/$branch"
seen=$(sed -n "s|[[:space:]]refs/heads/$branch\$||p" "$scratch/answer")
if [ -n "$seen" ]; then
  ask "cannot read $branch" fetch --quiet "$GITOPS_REPOSITORY" "$seen"
  git show --no-patch --format=%B "$seen" | grep -Fqx "$signature" ||
    git merge-base --is-ancestor "$seen" HEAD ||
    fail "$branch has a commit of a person, so it is not renewed: merge it, or close its merge request and delete the branch"
fi
git add --all
git commit --quiet --no-verify --message "$title" \
  --message "$IMAGE_REPOSITORY@$RELEASE_DIGEST, and $DEBUG_DIGEST as its twin." --message "$signature"
ask "cannot push $branch" push \
  --force-with-lease="refs/heads/$branch:$seen" \
  --push-option=merge_request.create \
  --push-option="merge_request.target=$target" \
  --push-option="merge_request.title=$title" \
  --push-option=merge_request.remove_source_branch \
  "$GITOPS_REPOSITORY" "HEAD:refs/heads/$branch"
cat "$scratch/answer"
echo "$branch: $title"
