#!/bin/sh
# Makes VENV with uv in it: scripts/bootstrap.sh PYTHON VENV UV_VERSION
set -eu

python=$1
venv=$2
uv_version=$3

command -v "$python" >/dev/null 2>&1 || {
  echo "bootstrap: $python is not installed; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2
  exit 1
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "bootstrap: $("$python" --version) is too old; name a Python 3.11 or newer: make PYTHON=/path/to/python3" >&2
  exit 1
}
# Debian's python3 comes without the means to make an environment.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  package=python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "bootstrap: installing $package" >&2
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends "$package" >/dev/null
  else
    echo "bootstrap: $python cannot make a virtual environment; install $package" >&2
    exit 1
  fi
fi
echo "bootstrap: setting up $venv" >&2
rm -rf "$venv"
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
