# What the jobs share that push a branch and open a merge request for it, which is a pull
# request on GitHub.
#
# git gets the token from a credential helper that reads it from the environment: it
# is in no URL, on no command line and in no file.
# shellcheck shell=sh
# shellcheck disable=SC2154 # $remote and $branch are set by the scripts that read this

pull_request=$PWD/ci/pipeline/pull_request.py
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Lets git use the token in the variable $2 on the host of $remote, as the author $1.
use_token() {
  [ "$provider" != github ] || need "GitHub sets it" GITHUB_API_URL
  token=$2
  user=$(printf '%s\n' "$1" | tr '[:upper:] ' '[:lower:]-')
  host=$(printf '%s\n' "$remote" | sed 's|^\([a-z]*://[^/]*\)/.*|\1|')
  eval "value=\$$token"
  export GIT_TOKEN="$value" GIT_TERMINAL_PROMPT=0 GIT_CONFIG_GLOBAL="$scratch/gitconfig"
  git config --global credential.helper ''
  git config --global "credential.$host.username" "${push_user:-$user}"
  # shellcheck disable=SC2016 # the shell that git starts expands it
  git config --global "credential.$host.helper" '!f() { echo "password=$GIT_TOKEN"; }; f'
  [ -z "$server_ca" ] || git config --global "http.$host.sslCAInfo" "$server_ca"
  export GIT_AUTHOR_NAME="${GIT_AUTHOR_NAME:-$1}" \
    GIT_AUTHOR_EMAIL="${GIT_AUTHOR_EMAIL:-$user@noreply.$(server_host)}"
  export GIT_COMMITTER_NAME="$GIT_AUTHOR_NAME" GIT_COMMITTER_EMAIL="$GIT_AUTHOR_EMAIL"
}

# The host of the provider, without a port.
server_host() {
  printf '%s\n' "${server_url:-https://localhost}" | sed 's|^[a-z]*://||; s|[:/].*||'
}

# Runs git and keeps its answer; $1 says what did not work.
ask() {
  what=$1
  shift
  git "$@" >"$scratch/answer" 2>&1 || {
    cat "$scratch/answer" >&2
    fail "$what; $token wants $push_rights"
  }
}

# Leaves in $seen the commit that the branch has by now, if there is one, and fetches it.
find_branch() {
  ask "cannot read $remote" ls-remote "$remote" "refs/heads/$branch"
  seen=$(sed -n "s|[[:space:]]refs/heads/$branch\$||p" "$scratch/answer")
  [ -z "$seen" ] || ask "cannot read $branch of $remote" fetch --quiet "$remote" "$seen"
}

# Stops where a person works on the branch. $1 is the line, as a pattern, by which the job
# knows its own commits.
must_be_own() {
  [ -z "$seen" ] ||
    git show --no-patch --format=%B "$seen" | grep -Eqx "$1" ||
    git merge-base --is-ancestor "$seen" HEAD ||
    fail "$branch has a commit of a person, so it is not renewed: merge it, or close its request and delete the branch"
}

# Pushes HEAD as the branch, with a merge request into $1 that is called $2 and says $3, or
# renews the one that is open.
open_request() {
  target=$1 title=$2 description=${3:-}
  set -- --force-with-lease="refs/heads/$branch:$seen"
  if [ "$provider" = gitlab ]; then
    set -- "$@" --push-option=merge_request.create \
      --push-option="merge_request.target=$target" \
      --push-option="merge_request.title=$title" \
      --push-option=merge_request.remove_source_branch \
      ${description:+--push-option="merge_request.description=$description"}
  fi
  ask "cannot push $branch to $remote" push "$@" "$remote" "HEAD:refs/heads/$branch"
  cat "$scratch/answer"
  if [ "$provider" = github ]; then
    repository=${remote#"$server_url/"}
    python3 "$pull_request" "${repository%.git}" "$branch" "$target" "$title" "$description" || {
      # As it was, so that the next run begins anew.
      git push --quiet --force-with-lease="refs/heads/$branch:$(git rev-parse HEAD)" \
        "$remote" "$seen:refs/heads/$branch"
      fail "there is no pull request for $branch; $token wants $push_rights"
    }
  fi
  echo "$branch: $title"
}
