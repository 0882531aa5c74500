#!/bin/sh
# Prints where the tests may write: memory, if there is room, or else where TMPDIR says.
#
# Git and Copier write and delete small files by the ten thousand, for which a file
# system on a disk takes a third of the time of these tests.
set -eu

memory=${1:-/dev/shm}
meminfo=${2:-/proc/meminfo}
disk=${TMPDIR:-/tmp}
room=2000000 # KiB, ten times what the tests of the fast tier hold

# Containers often have little of it, and forbid to run a program from there.
runs_programs() {
  probe=$(mktemp "$memory/probe.XXXXXX" 2>/dev/null) || return 1
  printf '#!/bin/sh\n' >"$probe"
  chmod +x "$probe"
  code=0
  "$probe" 2>/dev/null || code=1
  rm -f "$probe"
  return "$code"
}

free() { df -Pk "$memory" 2>/dev/null | awk 'NR == 2 { print $4 }'; }
available() { awk '$1 == "MemAvailable:" { print $2 }' "$meminfo" 2>/dev/null; }

if [ "$(free)" -ge "$room" ] 2>/dev/null && [ "$(available)" -ge "$room" ] 2>/dev/null &&
  runs_programs; then
  echo "$memory"
else
  echo "$disk"
fi
