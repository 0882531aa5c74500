# What the jobs share that push a branch and open a merge request for it.
#
# git gets the token from a credential helper that reads it from the environment: it
# is in no URL, on no command line and in no file.
# shellcheck shell=sh
# shellcheck disable=SC2154 # $remote and $branch are set by the scripts that read this

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Lets git use the token in the variable $2 on the host of $remote, as the author $1.
use_token() {
  token=$2
  user=$(printf '%s\n' "$1" | tr '[:upper:] ' '[:lower:]-')
  host=$(printf '%s\n' "$remote" | sed 's|^\([a-z]*://[^/]*\)/.*|\1|')
  eval "value=\$$token"
  export GIT_TOKEN="$value" GIT_TERMINAL_PROMPT=0 GIT_CONFIG_GLOBAL="$scratch/gitconfig"
  git config --global credential.helper ''
  git config --global "credential.$host.username" "$user"
  # shellcheck disable=SC2016 # the shell that git starts expands it
  git config --global "credential.$host.helper" '!f() { echo "password=$GIT_TOKEN"; }; f'
  if [ -n "${CI_SERVER_TLS_CA_FILE:-}" ]; then
    git config --global "http.$host.sslCAInfo" "$CI_SERVER_TLS_CA_FILE"
  fi
  export GIT_AUTHOR_NAME="${GIT_AUTHOR_NAME:-$1}" \
    GIT_AUTHOR_EMAIL="${GIT_AUTHOR_EMAIL:-$user@noreply.${CI_SERVER_HOST:-localhost}}"
  export GIT_COMMITTER_NAME="$GIT_AUTHOR_NAME" GIT_COMMITTER_EMAIL="$GIT_AUTHOR_EMAIL"
}

# Runs git and keeps its answer; $1 says what did not work.
ask() {
  what=$1
  shift
  git "$@" >"$scratch/answer" 2>&1 || {
    cat "$scratch/answer" >&2
    fail "$what; $token wants the scope write_repository and the role Developer"
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
    fail "$branch has a commit of a person, so it is not renewed: merge it, or close its merge request and delete the branch"
}

# Pushes HEAD as the branch, with a merge request into $1 that is called $2, or renews the one
# that is open. Options of git push may follow.
open_request() {
  target=$1 title=$2
  shift 2
  ask "cannot push $branch to $remote" push \
    --force-with-lease="refs/heads/$branch:$seen" \
    --push-option=merge_request.create \
    --push-option="merge_request.target=$target" \
    --push-option="merge_request.title=$title" \
    --push-option=merge_request.remove_source_branch \
    "$@" "$remote" "HEAD:refs/heads/$branch"
  cat "$scratch/answer"
  echo "$branch: $title"
}
