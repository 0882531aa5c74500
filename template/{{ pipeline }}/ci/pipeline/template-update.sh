#!/bin/sh
# Opens a merge request with the newest release of the service template, or renews
# the one that is open. Where the update conflicts it is a draft that names the files.
#
# git gets the token from a credential helper that reads it from the environment: it
# is in no URL, on no command line and in no file.
. ci/pipeline/common.sh

need "GitLab sets it in the pipeline of a branch" \
  CI_COMMIT_BRANCH CI_PROJECT_URL CI_SERVER_HOST CI_SERVER_URL
need "an access token, under Settings, CI/CD, Variables" TEMPLATE_UPDATE_TOKEN
for tool in git copier; do
  command -v "$tool" >/dev/null 2>&1 ||
    fail "the job's image has no $tool: TEMPLATE_UPDATE_IMAGE wants git and Copier"
done

remote=$CI_PROJECT_URL.git
branch=template-update/$CI_COMMIT_BRANCH
signature='Opened-by: ci/pipeline/template-update.sh'
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The workspace may belong to another user than the one that runs the job. Only this
# GitLab gets the token, also where the answers name a template on it by SSH.
host=$(printf '%s\n' "$CI_PROJECT_URL" | sed 's|^\([a-z]*://[^/]*\)/.*|\1|')
export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_GLOBAL="$scratch/gitconfig"
git config --global safe.directory '*'
git config --global credential.helper ''
# shellcheck disable=SC2016 # the shell that git starts expands it
git config --global "credential.$host.helper" \
  '!f() { echo username=template-update; echo "password=$TEMPLATE_UPDATE_TOKEN"; }; f'
git config --global "url.$CI_SERVER_URL/.insteadOf" "git@$CI_SERVER_HOST:"
if [ -n "${CI_SERVER_TLS_CA_FILE:-}" ]; then
  git config --global "http.$host.sslCAInfo" "$CI_SERVER_TLS_CA_FILE"
fi
export GIT_AUTHOR_NAME="${GIT_AUTHOR_NAME:-Template update}" \
  GIT_AUTHOR_EMAIL="${GIT_AUTHOR_EMAIL:-template-update@noreply.$CI_SERVER_HOST}"
export GIT_COMMITTER_NAME="$GIT_AUTHOR_NAME" GIT_COMMITTER_EMAIL="$GIT_AUTHOR_EMAIL"
export COPIER_CACHE_DIR="$scratch/copier"

# Runs git and keeps its answer; $1 says what did not work.
ask() {
  what=$1
  shift
  git "$@" >"$scratch/answer" 2>&1 || {
    cat "$scratch/answer" >&2
    fail "$what; TEMPLATE_UPDATE_TOKEN wants the scope write_repository and the role Developer"
  }
}

# In a clone: the workspace stays clean, and its git configuration, where the runner
# keeps a token of its own, is left alone.
git clone --quiet "$PWD" "$scratch/service" 2>/dev/null || fail "cannot clone $PWD"
cd "$scratch/service" || exit

code=0
COPIER=copier VERSION='' DATA='' sh ci/update.sh >"$scratch/log" 2>&1 </dev/null || code=$?
cat "$scratch/log"
if [ -z "$(git status --porcelain)" ]; then
  [ "$code" = 0 ] || fail "there is no update: the lines above say why"
  exit 0
fi
versions=$(sed -n 's/^update: from \(.* to .*\)/\1/p' "$scratch/log" | head -n 1)
release=$(grep '^_commit: ' .copier-answers.yml | tail -n 1)
unsettled=$(awk '
  /^  / { if (listing) print "`" substr($0, 3) "`"; next }
  { listing = / have conflicts; | removed these files, / }' "$scratch/log" | paste -s -d ' ' -)
if [ -z "$versions" ] || { [ "$code" != 0 ] && [ -z "$unsettled" ]; }; then
  fail "there is no update: the lines above say why"
fi

# An open merge request is renewed for a newer release, unless a person works on it.
ask "cannot read $remote" ls-remote "$remote" "refs/heads/$branch"
seen=$(sed -n "s|[[:space:]]refs/heads/$branch\$||p" "$scratch/answer")
if [ -n "$seen" ]; then
  ask "cannot read $branch of $remote" fetch --quiet "$remote" "$seen"
  if git show "$seen:.copier-answers.yml" | grep -Fqx "$release"; then
    echo "$branch has this release already: merge its merge request, or close it and keep the branch"
    exit 0
  fi
  git show --no-patch --format=%B "$seen" |
    grep -Eqx 'Opened-by: ci/(gitlab|pipeline)/template-update[.]sh' ||
    git merge-base --is-ancestor "$seen" HEAD ||
    fail "$branch has a commit of a person, so it is not renewed: merge it, or close its merge request and delete the branch"
fi

title="Update the service template from $versions"
description="The notes of the release are in the commit message. Renewed by the next scheduled pipeline that finds a newer release, as long as nobody else commits to the branch."
if [ -n "$unsettled" ]; then
  description="A person has to settle $unsettled; \`make verify\` fails until then. $description"
fi
{
  printf '%s\n\n' "$title"
  # Without what to do next in a checkout.
  sed -e '/^update: \(from\|then\|or undo\|done\)/d' -e 's/^update: //' "$scratch/log"
  printf '\n%s\n' "$signature"
} >"$scratch/message"
[ -z "$unsettled" ] || title="Draft: $title"
git add --all
git commit --quiet --no-verify --file "$scratch/message"
ask "cannot push $branch to $remote" push \
  --force-with-lease="refs/heads/$branch:$seen" \
  --push-option=merge_request.create \
  --push-option="merge_request.target=$CI_COMMIT_BRANCH" \
  --push-option="merge_request.title=$title" \
  --push-option="merge_request.description=$description" \
  --push-option=merge_request.remove_source_branch \
  "$remote" "HEAD:refs/heads/$branch"
cat "$scratch/answer"
echo "$branch: $title"
