#!/bin/sh
# Says on stdout what a service is made from: scripts/source.sh VERB
#
# The first line is the release or commit, the second the address that updates will come
# from, the others are the answers of DATA, one a line. What a person should know goes to
# stderr, as "VERB: …".
#
# It is the newest release that the checkout contains, or its last commit where there is
# none; and the house's address, or the checkout's remote, where a remote has the commit
# too, the checkout's absolute path otherwise. DATA="question=answer …" answers questions:
# an answer may have spaces, and several may stand on a line each. Who calls it has cleared
# what leads git elsewhere, and turned a person's hooks off.
set -eu
unset CDPATH

verb=$1
checkout=$(cd "$(dirname "$0")/.." && pwd)

reason=$(git -C "$checkout" rev-parse --quiet --verify HEAD 2>&1 >/dev/null) || {
  [ -z "$reason" ] || printf '%s\n' "$reason" >&2
  echo "$verb: $checkout is not a git checkout of the template that git reads; clone it with git" >&2
  exit 2
}
commit=$(git -C "$checkout" describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null ||
  git -C "$checkout" rev-parse HEAD)
if [ -n "$(git -C "$checkout" status --porcelain)" ]; then
  echo "$verb: uncommitted changes of the template are not included" >&2
fi

source=$checkout
remote=$(git -C "$checkout" cat-file blob "$commit:partials/house.json" 2>/dev/null |
  sed -n 's/^"template": "\(..*\)",$/\1/p')
: "${remote:=$(git -C "$checkout" remote get-url origin 2>/dev/null || true)}"
if [ -n "$remote" ] && [ -n "$(git -C "$checkout" for-each-ref --contains "$commit" refs/remotes 2>/dev/null)" ]; then
  # Credentials in it are of whoever cloned, and the service is for others to read.
  public=$(printf '%s\n' "$remote" | sed 's|^\(https\{0,1\}://\)[^/]*@|\1|')
  case $remote in
    *://* | *@*:* | /*) source=$public ;;
  esac
  if [ "$source" != "$checkout" ] && [ "$public" != "$remote" ] &&
    ! GIT_TERMINAL_PROMPT=0 git ls-remote --quiet "$public" HEAD >/dev/null 2>&1; then
    echo "$verb: $public cannot be read without the credentials of this checkout's remote, which do not belong into a service; give them to git's credential helper" >&2
    source=$checkout
  fi
fi
release=$(git -C "$checkout" rev-parse --short "$commit^{commit}")
case $commit in
  v[0-9]*) echo "$verb: taking the release $commit ($release)" >&2 ;;
  *) echo "$verb: taking the commit $release, since this checkout has no release" >&2 ;;
esac
echo "$verb: updates will come from $source" >&2

# The answers of DATA: on one line a word "question=…" begins the next one, and the words
# after it belong to it.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
git -C "$checkout" cat-file blob "$commit:copier.yml" |
  sed -n 's/^\([a-z][a-z0-9_]*\):.*/\1/p' >"$scratch/questions"
printf '%s\n' "${DATA:-}" | awk -v questions="$scratch/questions" '
  BEGIN { while ((getline name < questions) > 0) known[name] = 1 }
  { line[NR] = $0 }
  END {
    for (n = 1; n <= NR; n++) {
      count = split(line[n], word, /[ \t]+/)
      if (NR > 1) {
        count = line[n] ~ /^[ \t]*$/ ? 0 : 1
        word[1] = line[n]
      }
      text = ""
      for (i = 1; i <= count; i++) {
        if (word[i] == "") continue
        name = word[i]
        answers = sub(/=.*/, "", name) && name ~ /^[a-z][a-z0-9_]*$/
        if (answers ? !(name in known) : text == "") {
          print name
          exit 1
        }
        if (answers && text != "") print text
        text = answers ? word[i] : text " " word[i]
      }
      if (text != "") print text
    }
  }' >"$scratch/data" || {
  echo "$verb: DATA: \"$(tail -n 1 "$scratch/data")\" is no question; want DATA=\"language=rust owner=acme\", and a text with a = in it on a line of its own" >&2
  exit 2
}

printf '%s\n' "$commit" "$source"
cat "$scratch/data"
