#!/bin/sh
# Updates from the service template:
#
#   ci/update.sh            bring in the newest release
#   ci/update.sh check      exit with 2 when there is a newer release, as Copier does
#   ci/update.sh restore    bring back the platform files of the release in use
#
# VERSION=v1.2.0 asks for one release, newer or older. DATA="question=answer …"
# changes answers on the way; an answer may have spaces, and several may stand on a line
# each. COPIER overrides how Copier is run.
#
# An update that ends with exit code 1 and a list left conflicts to resolve; one
# that fails leaves the service as it was.
set -eu
unset CDPATH
# A hook, or a person's shell, may lead git to another repository than this one.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_COMMON_DIR GIT_OBJECT_DIRECTORY \
  GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_NAMESPACE GIT_PREFIX GIT_QUARANTINE_PATH \
  GIT_LITERAL_PATHSPECS GIT_GLOB_PATHSPECS GIT_NOGLOB_PATHSPECS GIT_ICASE_PATHSPECS
# No hook of a person's own runs in what Copier and this script do, also not in Copier's
# scratch repositories.
count=${GIT_CONFIG_COUNT:-0}
export "GIT_CONFIG_KEY_$count=core.hooksPath" "GIT_CONFIG_VALUE_$count=/dev/null"
export GIT_CONFIG_COUNT=$((count + 1))

answers=.copier-answers.yml
undo='git reset --hard && git clean --force -d'

fail() {
  echo "$verb: $1" >&2
  exit 1
}

indent() { sed 's/^/  /' >&2; }

find_copier() {
  if [ -n "${COPIER:-}" ]; then
    copier=$COPIER
  elif command -v copier >/dev/null 2>&1; then
    copier=copier
  elif command -v uvx >/dev/null 2>&1; then
    copier='uvx copier'
  elif command -v pipx >/dev/null 2>&1; then
    copier='pipx run copier'
  else
    fail "Copier is not installed; install it with: pipx install copier"
  fi
}

# Reads what Copier says on stderr, without the traceback of its crashes.
run_copier() {
  # shellcheck disable=SC2086 # COPIER may be several words
  $copier "$@" 2>"$scratch/errors" || {
    if grep -q '^Traceback' "$scratch/errors"; then
      # The last exception, whose text may have several lines; of a chain the last one.
      awk '
        /^Traceback/ { trace = 1 }
        trace && /^[A-Za-z_][A-Za-z0-9_.]*(: |$)/ { trace = 0; text = "" }
        !trace { text = text $0 "\n" }
        END { printf "%s", text }' \
        "$scratch/errors"
    else
      cat "$scratch/errors"
    fi | indent
    return 1
  }
}

# The value of a key of the answers file on stdin.
answer() {
  sed -n "s/^$1: *//p" | sed "s/^'\(.*\)'\$/\1/; s/^\"\(.*\)\"\$/\1/"
}

read_answers() {
  if [ "$(LC_ALL=C git rev-parse --is-inside-work-tree 2>"$scratch/errors")" != true ]; then
    case $(cat "$scratch/errors") in
      '' | *'not a git repository'*)
        fail "this is not a git repository, and an update is a merge; run: git init && git add --all && git commit"
        ;;
    esac
    indent <"$scratch/errors"
    fail "git does not read this repository; the lines above say why"
  fi
  if [ ! -f "$answers" ]; then
    last=$(git rev-list -1 HEAD -- "$answers" 2>/dev/null || true)
    git cat-file -e "HEAD:./$answers" 2>/dev/null || last=${last:+$last^}
    fail "$answers is missing; bring it back with: git checkout ${last:-HEAD} -- $answers"
  fi
  if grep -q -e '^<<<<<<<' -e '^>>>>>>>' "$answers"; then
    fail "$answers has conflict markers; resolve them and commit"
  fi
  source=$(answer _src_path <"$answers")
  from=$(answer _commit <"$answers")
  if [ -z "$source" ] || [ -z "$from" ]; then
    fail "$answers does not say which template (_src_path) and release (_commit) this service has; bring it back with: git log --patch -- $answers"
  fi
}

# Leaves the template's history in $scratch/template.
read_template() {
  case $source in
    gh:*) url=https://github.com/${source#gh:} ;;
    gl:*) url=https://gitlab.com/${source#gl:} ;;
    *) url=${source#git+} ;;
  esac
  if ! git clone --quiet --bare -- "$url" "$scratch/template" 2>"$scratch/errors"; then
    indent <"$scratch/errors"
    fail "cannot read the template at $source (_src_path in $answers); check the network and your access to it. Nothing was changed"
  fi
}

template() { git --git-dir="$scratch/template" "$@"; }

releases() {
  template for-each-ref --format='%(refname:lstrip=2)' --sort=-version:refname 'refs/tags/v[0-9]*' |
    grep -E '^v[0-9]+(\.[0-9]+)*$' || true
}

# The release notes after $from and up to $to.
notes() {
  base=$(template describe --tags --abbrev=0 --match 'v[0-9]*' "$from" 2>/dev/null || true)
  {
    template cat-file blob "$to:house/CHANGELOG.md" || template cat-file blob "$to:CHANGELOG.md"
  } 2>/dev/null |
    awk -v base="[${base#v}]" -v tag="$(releases | grep -Fx "$to" || true)" '
      /^## / { if ($2 == base) exit; show = $2 != "[Unreleased]" || tag == "" }
      show && !/^\[[^]]*\]: /'
}

# What the update left for a person, one path a line.
conflicts() {
  {
    git ls-files -z --unmerged | tr '\0' '\n' | cut -f 2
    git -c color.ui=false -c grep.patternType=basic -c grep.fullName=false -c grep.lineNumber=false \
      grep -z --untracked --files-with-matches -e '^<<<<<<< before updating' | tr '\0' '\n' || true
    git ls-files -z --others --exclude-standard -- '*.rej' | tr '\0' '\n'
  } | sort -u
}

# Makes the service of the answers in file $1 once more, as $from has it, in $scratch/old.
render_release() {
  run_copier copy --quiet --defaults --data-file "$1" --vcs-ref "$from" "$source" "$scratch/old"
}

# Files that the release removes although they were edited: Copier says nothing.
removed_edits() {
  git diff-index -z --name-only --diff-filter=D --no-renames --relative HEAD | tr '\0' '\n' >"$scratch/removed"
  [ -s "$scratch/removed" ] || return 0
  old_release
  while read -r path; do
    git cat-file blob "HEAD:./$path" | cmp -s - "$scratch/old/$path" || echo "$path"
  done <"$scratch/removed"
}

# Makes the release in $scratch/old, unless that was done.
old_release() {
  [ -d "$scratch/old" ] || render_release "$scratch/answers" || fail "cannot render $from to compare with"
}

# Files of the team under the name of one that the release brings: nothing is there to merge
# with, so theirs stay. Prints them. A file of the platform is not for the team to keep.
keep_own() {
  conflicts >"$scratch/conflicts"
  while IFS= read -r path; do
    git cat-file -e "HEAD:./$path" 2>/dev/null || continue
    old_release </dev/null
    [ ! -e "$scratch/old/$path" ] || continue
    ! git ls-files -z -- '*platform.lock' | xargs -0 sed 's/^[0-9a-f]*  //' | grep -Fqx -e "$path" || continue
    git checkout --quiet HEAD -- "$path" && echo "$path"
  done <"$scratch/conflicts"
}

# Answers that are not what they were: a question or choice that is no more.
reset_answers() {
  grep -v '^[_#]' "$scratch/answers" >"$scratch/before"
  while IFS= read -r line; do
    grep -Fqx -e "$line" "$answers" || echo "$line"
  done <"$scratch/before"
}

edited_platform_files() {
  command -v sha256sum >/dev/null 2>&1 || return 0
  git -c core.quotePath=false ls-files --cached --others --exclude-standard -- '*platform.lock' |
    while IFS= read -r lock; do
      LC_ALL=C sha256sum --check --quiet "$lock" 2>/dev/null | sed -n 's/: FAILED.*//p'
    done
}

# What git ignores it cannot bring back, so it is kept aside; not what is large, or in a
# directory that is ignored as a whole.
keep_ignored() {
  git -c core.quotePath=false ls-files --others --ignored --exclude-standard --directory |
    while IFS= read -r path; do
      if [ -f "$path" ] && [ -r "$path" ] && [ "$(wc -c <"$path")" -le 1000000 ]; then
        mkdir -p "$scratch/ignored/$(dirname "$path")"
        cp -Pp "$path" "$scratch/ignored/$path"
        echo "$path"
      fi
    done >"$scratch/kept"
}

bring_back_ignored() {
  while IFS= read -r path; do
    if ! cmp -s "$scratch/ignored/$path" "$path"; then
      cp -Pp "$scratch/ignored/$path" "$path"
      echo "$path"
    fi
  done <"$scratch/kept"
}

go_back() {
  commits=
  skipped_to=
  for commit in $(git rev-list HEAD -- "$answers"); do
    after=$(git cat-file blob "$commit:./$answers" 2>/dev/null | answer _commit)
    [ -z "$skipped_to" ] || [ "$after" = "$skipped_to" ] || continue
    before=$(git cat-file blob "$commit^:./$answers" 2>/dev/null | answer _commit)
    [ "$before" != "$after" ] || continue
    # One that went back has undone the updates before it, down to the one it went to.
    if [ "$before" != "$after" ] && template merge-base --is-ancestor "$after" "$before" 2>/dev/null; then
      skipped_to=$after
      continue
    fi
    skipped_to=
    commits="$commits $commit"
    if [ "$before" = "$to" ]; then
      # shellcheck disable=SC2086 # one word a commit
      git revert --no-commit $commits >"$scratch/errors" 2>&1 || true
      git revert --quit
      unmerged=$(git ls-files -z --unmerged | tr '\0' '\n' | cut -f 2 | sort -u)
      if [ -n "$unmerged" ]; then
        echo "update: these files have conflicts; resolve each one, then run: git add --all && git commit" >&2
        echo "$unmerged" | indent
        [ "$(answer _commit <"$answers")" = "$to" ] ||
          echo "it is not all of the way; go on after the commit with: make update VERSION=$to" >&2
        echo "or undo it with: $undo" >&2
        exit 1
      fi
      [ "$(answer _commit <"$answers")" = "$to" ] || {
        indent <"$scratch/errors"
        git reset --quiet --hard
        fail "the updates since $to cannot be reverted; nothing was changed"
      }
      echo "update: back from $from to $to, by reverting$commits" >&2
      echo "Look at it with: git diff HEAD; then: make lint test verify && git commit" >&2
      exit 0
    fi
  done
  if [ "$(git rev-parse --is-shallow-repository)" = true ]; then
    fail "$to is older than $from, and going back reverts the update, which this shallow clone does not have; run: git fetch --unshallow"
  fi
  fail "$to is older than $from, and this service was never on it: there is nothing to go back to"
}

# The answers of DATA, one a line. On one line a word "question=…" begins the next one, and
# the words after it belong to it.
data_of() {
  template cat-file blob "$to:copier.yml" | sed -n 's/^\([a-z][a-z0-9_]*\):.*/\1/p' >"$scratch/questions"
  printf '%s\n' "$1" | awk -v questions="$scratch/questions" '
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
    }'
}

update() {
  read_answers
  marker=$(git rev-parse --git-path template-update)
  status=$(git status --porcelain --untracked-files=normal)
  if [ -n "$status" ]; then
    echo "$status" >&2
    [ ! -e "$marker" ] || fail "an update was interrupted; undo it with: $undo"
    fail "there are uncommitted changes; commit or stash them first, so that the update can be told apart and undone"
  fi
  rm -f "$marker"
  find_copier
  read_template

  template cat-file -e "$from^{commit}" 2>/dev/null ||
    fail "this service is on $from (_commit in $answers), which the template at $source does not have: it is newer than that template, or was edited. Nothing was changed"
  newest=$(releases | head -n 1)
  to=${VERSION:-$newest}
  [ -n "$to" ] ||
    fail "the template at $source has no release, which is a tag such as v1.2.0; its newest commit comes with: make update VERSION=HEAD"
  if [ "$to" = HEAD ] && [ -d "$source" ] && [ -n "$(git -C "$source" status --porcelain 2>/dev/null)" ]; then
    fail "the template at $source has uncommitted changes, and with VERSION=HEAD this service would be on a commit that nobody has; commit them there first"
  fi
  template cat-file -e "$to^{commit}" 2>/dev/null || to=v$to
  template cat-file -e "$to^{commit}" 2>/dev/null ||
    fail "the template has no release $VERSION; it has: $(releases | tr '\n' ' ')"

  before=$(template rev-parse "$from^{commit}")
  after=$(template rev-parse "$to^{commit}")
  if [ "$before" = "$after" ] && [ -z "${DATA:-}" ]; then
    echo "update: this service is on $from already" >&2
    return
  fi
  if [ "$before" != "$after" ] && template merge-base --is-ancestor "$after" "$before"; then
    [ -z "${VERSION:-}" ] || go_back
    echo "update: this service is on $from, which is newer than the newest release, $to" >&2
    return
  fi

  echo "update: from $from to $to" >&2
  notes | indent

  # Without a terminal every new question takes its default.
  if [ -t 0 ]; then questions=--skip-answered; else questions=--defaults; fi
  cp "$answers" "$scratch/answers"
  set -- update "$questions" --quiet --conflict inline --vcs-ref "$to"
  data_of "${DATA:-}" >"$scratch/data" ||
    fail "DATA: \"$(tail -n 1 "$scratch/data")\" is no question of this template; want DATA=\"owner=acme\", and a text with a = in it on a line of its own. Nothing was changed"
  while IFS= read -r data; do
    set -- "$@" --data "$data"
  done <"$scratch/data"
  trap 'interrupted=true' HUP INT TERM
  interrupted=false
  keep_ignored
  : >"$marker"
  if ! run_copier "$@" . || "$interrupted"; then
    if git reset --quiet --hard && git clean --quiet --force -d && bring_back_ignored >/dev/null; then
      rm -f "$marker"
      fail "the update failed; the service is as it was"
    fi
    fail "the update failed; undo it with: $undo"
  fi
  trap - HUP INT TERM
  rm -f "$marker"
  report
}

report() {
  kept=$(bring_back_ignored)
  own=$(keep_own)
  left=$(conflicts)
  removed=$(removed_edits)
  reset=$(reset_answers)
  edited=$(edited_platform_files)
  if [ -n "$reset" ] && [ -z "${DATA:-}" ]; then
    echo "update: $to does not know these answers any more; look at $answers:" >&2
    echo "$reset" | indent
  fi
  if [ -n "$kept" ]; then
    echo "update: $to has files of its own for these; yours, which git ignores here, were kept:" >&2
    echo "$kept" | indent
  fi
  if [ -n "$own" ]; then
    echo "update: $to brings files of these names, and yours were kept; for the release's delete yours, commit, and update again:" >&2
    echo "$own" | indent
  fi
  if [ -n "$edited" ]; then
    echo "update: these platform files are not the platform's; bring them back with make restore:" >&2
    echo "$edited" | indent
  fi
  if [ -n "$removed" ]; then
    echo "update: $to removed these files, and you had edited them; keep one with git checkout HEAD -- FILE:" >&2
    echo "$removed" | indent
  fi
  if [ -n "$left" ]; then
    echo "update: these files have conflicts; resolve each one:" >&2
    echo "$left" | indent
  fi
  if [ -n "$left$removed" ]; then
    echo "update: then run: make lint test verify && git add --all && git commit" >&2
    echo "update: or undo it with: $undo" >&2
    exit 1
  fi
  echo "update: done; look at it with: git status; git diff; then: make lint test verify && git add --all && git commit" >&2
}

check() {
  read_answers
  find_copier
  found=$(run_copier check-update --output-format json .) ||
    fail "cannot compare with the template at $source"
  newest=$(echo "$found" | sed -n 's/.*"latest_version": "\([^"]*\)".*/\1/p')
  case $found in
    *'"update_available": true'*)
      echo "update-check: this service is on $from; $newest is available: make update"
      exit 2
      ;;
    *) echo "update-check: this service is on $from, the newest release" ;;
  esac
}

# Copies the platform's files of the release in use, which its locks name, and nothing else.
restore() {
  read_answers
  find_copier
  render_release "$answers" ||
    fail "cannot bring the platform files of $from back from $source"
  (cd "$scratch/old" && find . -name platform.lock) >"$scratch/locks"
  while IFS= read -r lock; do
    echo "$lock"
    sed 's/^[0-9a-f]\{64\}  //' "$scratch/old/$lock"
  done <"$scratch/locks" >"$scratch/locked"
  while IFS= read -r path; do
    mkdir -p "$(dirname "$path")"
    rm -f "$path"
    cp -Pp "$scratch/old/$path" "$path"
  done <"$scratch/locked"
  echo "restore: the platform files are those of $from" >&2
}

# An update may replace this file: the shell has read all of it when main starts.
main() {
  verb=${1:-update}
  cd "$(dirname "$0")/.."
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  case $verb in
    update) update ;;
    check) verb=update-check && check ;;
    restore) restore ;;
    *) fail "no such command; there are: update, check, restore" ;;
  esac
}

main "$@"
exit
