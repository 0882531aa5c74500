#!/bin/sh
# Takes the files of the newest release from git, for a scheduled run, and packs them for
# the jobs that follow: what a job leaves for others loses modes and links.
set -eu
sh ci/pipeline/release-source.sh
tar -c -f .pipeline/source.tar -C .pipeline source
