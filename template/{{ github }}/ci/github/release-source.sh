#!/bin/sh
# Takes the files of the newest release from git, for a scheduled run, and packs them for
# the jobs that follow: what a job leaves for others loses modes and links.
set -eu
# A schedule runs on the default branch; a person can start a run on any.
[ "$GITHUB_REF_NAME" = "${DEFAULT_BRANCH:-$GITHUB_REF_NAME}" ] || {
  echo "error: a run that is started by hand rebuilds the newest release: start it on $DEFAULT_BRANCH, not on $GITHUB_REF_NAME" >&2
  exit 1
}
# In a container the workspace belongs to another user.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
sh ci/pipeline/release-source.sh
tar -c -f .pipeline/source.tar -C .pipeline source
