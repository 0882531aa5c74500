#!/bin/sh
# Brings in the newest release of the service template, or VERSION when it is set.
# Refuses a tree with uncommitted changes; ends with exit code 1 and a list when
# the update leaves conflicts. COPIER overrides how Copier is run.
set -eu

answers=.copier-answers.yml

fail() {
  echo "update: $1" >&2
  exit 1
}

[ -f "$answers" ] || fail "$answers is missing; restore it with: git checkout HEAD -- $answers"
git rev-parse --is-inside-work-tree >/dev/null 2>&1 ||
  fail "this is not a git repository, and an update is a merge; run: git init && git add --all && git commit"
if [ -n "$(git status --porcelain)" ]; then
  git status --short >&2
  fail "there are uncommitted changes; commit or stash them first, so that the update can be told apart and undone"
fi

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

# Without a terminal every new question takes its default.
if [ -t 0 ]; then questions=--skip-answered; else questions=--defaults; fi

# shellcheck disable=SC2086 # COPIER may be several words
$copier update $questions --conflict inline ${VERSION:+--vcs-ref "$VERSION"} .

conflicts=$({
  git ls-files --unmerged | cut -f 2
  git grep --untracked --files-with-matches -e '^<<<<<<< before updating' || true
  git ls-files --others --exclude-standard -- '*.rej'
} | sort -u)
if [ -n "$conflicts" ]; then
  echo "update: these files have conflicts; resolve each one, then commit:" >&2
  echo "$conflicts" | sed 's/^/  /' >&2
  exit 1
fi
