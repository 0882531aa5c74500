# What scripts say where something is wrong; to read this does nothing.
# shellcheck shell=sh

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# The last line of a tool's output, which says what went wrong.
reason() {
  printf '%s\n' "$1" | tail -n 1
}
