#!/bin/sh
# Takes the files of the newest release from git, for a scheduled run, and packs them for
# the jobs that follow: what a job leaves for others loses modes and links.
set -eu
# In a container the workspace belongs to another user.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
sh ci/pipeline/release-source.sh
tar -c -f .pipeline/source.tar -C .pipeline source
