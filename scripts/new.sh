#!/bin/sh
# Scaffolds a service from this checkout: scripts/new.sh COPIER DEST [COPIER_OPTION ...]
#
# Takes the newest release that the checkout contains, or its last commit where
# there is none. The service remembers where updates come from: the checkout's
# remote where that has the commit too, the checkout's absolute path otherwise.
set -eu
unset CDPATH

[ $# -ge 2 ] || {
  echo "usage: scripts/new.sh COPIER DEST [COPIER_OPTION ...]" >&2
  exit 2
}
copier=$1
destination=$2
shift 2
checkout=$(cd "$(dirname "$0")/.." && pwd)

if [ -e "$destination" ] && { [ ! -d "$destination" ] || [ -n "$(ls -A "$destination")" ]; }; then
  echo "new: $destination exists and is not an empty directory; choose another DEST" >&2
  exit 2
fi

git -C "$checkout" rev-parse --quiet --verify HEAD >/dev/null || {
  echo "new: $checkout is not a git checkout of the template; clone it with git" >&2
  exit 2
}
commit=$(git -C "$checkout" describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null ||
  git -C "$checkout" rev-parse HEAD)
if [ -n "$(git -C "$checkout" status --porcelain)" ]; then
  echo "new: uncommitted changes of the template are not included" >&2
fi

source=$checkout
remote=$(git -C "$checkout" remote get-url origin 2>/dev/null || true)
if [ -n "$remote" ] && [ -n "$(git -C "$checkout" branch --remotes --contains "$commit" 2>/dev/null)" ]; then
  # Credentials in it are of whoever cloned, and the service is for others to read.
  public=$(printf '%s\n' "$remote" | sed 's|^\(https\{0,1\}://\)[^/]*@|\1|')
  case $remote in
    *://* | *@*:* | /*) source=$public ;;
  esac
  if [ "$source" != "$checkout" ] && [ "$public" != "$remote" ] &&
    ! GIT_TERMINAL_PROMPT=0 git ls-remote --quiet "$public" HEAD >/dev/null 2>&1; then
    echo "new: $public cannot be read without the credentials of this checkout's remote, which do not belong into a service; give them to git's credential helper" >&2
    source=$checkout
  fi
fi
echo "new: updates will come from $source" >&2

exec "$copier" copy --vcs-ref "$commit" "$@" "$source" "$destination"
