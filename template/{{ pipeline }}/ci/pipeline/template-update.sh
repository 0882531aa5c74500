#!/bin/sh
# Opens a merge request with the newest release of the service template, or renews
# the one that is open. Where the update conflicts it is a draft that names the files.
# A merge request is a pull request on GitHub.
. ci/pipeline/common.sh
. ci/pipeline/merge-request.sh

# GitHub starts the job without it, too.
if [ "$provider" = github ] && [ -z "${TEMPLATE_UPDATE_TOKEN:-}" ]; then
  echo "the secret TEMPLATE_UPDATE_TOKEN is not set: no pull request is opened"
  exit
fi
# shellcheck disable=SC2086 # names, one a word
need "the provider sets it in the pipeline of a branch" $of_branches
need "an access token, under Settings, CI/CD, Variables" TEMPLATE_UPDATE_TOKEN
for tool in git copier python3; do
  command -v "$tool" >/dev/null 2>&1 ||
    fail "the job's image has no $tool: TEMPLATE_UPDATE_IMAGE wants git, Python and Copier"
done

remote=$project_url.git
branch=template-update/$git_branch
signature='Opened-by: ci/pipeline/template-update.sh'
use_token "Template update" TEMPLATE_UPDATE_TOKEN
# The workspace may belong to another user than the one that runs the job. Only this
# server gets the token, also where the answers name a template on it by SSH.
git config --global safe.directory '*'
git config --global "url.$server_url/.insteadOf" "git@$(server_host):"
export COPIER_CACHE_DIR="$scratch/copier"

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
find_branch
if [ -n "$seen" ] && git show "$seen:.copier-answers.yml" | grep -Fqx "$release"; then
  echo "$branch has this release already: merge its request, or close it and keep the branch"
  exit 0
fi
must_be_own 'Opened-by: ci/(gitlab|pipeline)/template-update[.]sh'

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
open_request "$git_branch" "$title" "$description"
