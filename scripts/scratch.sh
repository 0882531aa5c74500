#!/bin/sh
# Runs a command with a TMPDIR of its own, in memory if there is room: scripts/scratch.sh COMMAND…
#
# Git and Copier write and delete small files by the ten thousand, for which a file
# system on a disk takes a third of the time of these tests.
set -eu

memory=${MEMORY:-/dev/shm}
meminfo=${MEMINFO:-/proc/meminfo}
room=2000000 # KiB, ten times what the tests of the fast tier hold

free() { df -Pk "$memory" 2>/dev/null | awk 'NR == 2 { print $4 }'; }
available() { awk '$1 == "MemAvailable:" { print $2 }' "$meminfo" 2>/dev/null; }

# Containers often have little of it, and forbid to run a program from there.
runs_programs() {
  printf '#!/bin/sh\n' >"$1/probe"
  chmod +x "$1/probe"
  "$1/probe" 2>/dev/null || return 1
  rm "$1/probe"
}

scratch=
trap 'rm -rf "$scratch"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
if [ "$(free)" -ge "$room" ] 2>/dev/null && [ "$(available)" -ge "$room" ] 2>/dev/null; then
  scratch=$(mktemp -d "$memory/copier-service.XXXXXX" 2>/dev/null) || scratch=
  if [ -n "$scratch" ] && ! runs_programs "$scratch"; then
    rm -rf "$scratch"
    scratch=
  fi
fi
: "${scratch:=$(mktemp -d)}"
TMPDIR=$scratch "$@"
