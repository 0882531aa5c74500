# What the scripts of the jobs share. They run in any POSIX shell: the images of
# crane and Kaniko have busybox's.
# shellcheck shell=sh
set -eu
umask 022
work=.pipeline
mkdir -p "$work"

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Stops unless the variables have a value; $1 says who should have set them.
need() {
  from=$1
  shift
  for name in "$@"; do
    eval "value=\${$name:-}"
    [ -n "$value" ] || fail "$name is not set: $from"
  done
}

# Writes the credentials for crane and Kaniko: outside the workspace, readable by
# this user only, and never on a command line.
login() {
  if [ -z "${DOCKER_CONFIG:-}" ]; then
    if [ -d /kaniko ]; then
      DOCKER_CONFIG=/kaniko/.docker # Kaniko keeps it out of images
    else
      DOCKER_CONFIG=$(mktemp -d)
    fi
    export DOCKER_CONFIG
  fi
  host=${IMAGE_REPOSITORY%%/*}
  user=${REGISTRY_USER:-}
  password=${REGISTRY_PASSWORD:-}
  if [ -z "$user$password" ] && [ "$host" = "${CI_REGISTRY:-}" ]; then
    user=${CI_REGISTRY_USER:-}
    password=${CI_REGISTRY_PASSWORD:-}
  fi
  if [ -n "${DOCKER_AUTH_CONFIG:-}" ]; then
    config=$DOCKER_AUTH_CONFIG
  elif [ -n "$user" ] && [ -n "$password" ]; then
    config=$(printf '%s:%s' "$user" "$password" | base64 | tr -d '\n')
    config="{\"auths\":{\"$host\":{\"auth\":\"$config\"}}}"
  elif [ -n "$user$password" ]; then
    fail "REGISTRY_USER and REGISTRY_PASSWORD: one of them is not set, want both"
  else
    echo "no credentials for $host: REGISTRY_USER and REGISTRY_PASSWORD are not set"
    return
  fi
  (umask 077 && mkdir -p "$DOCKER_CONFIG" && printf '%s\n' "$config" >"$DOCKER_CONFIG/config.json")
  config='' password=''
}

# Where REGISTRY_MAP (host=mirror;host=mirror) has image $1.
mirrored() {
  image_host=${1%%/*}
  rest=${1#*/}
  found=$1
  IFS=';'
  for entry in ${REGISTRY_MAP:-}; do
    if [ "${entry%%=*}" = "$image_host" ]; then
      found="${entry#*=}/$rest"
      break
    fi
  done
  unset IFS
  printf '%s\n' "$found"
}

# The digest of image $1, which may lie on a mirror; fails with crane's reason.
digest_of() {
  case $1 in
    *@sha256:*) printf '%s\n' "${1##*@}" ;;
    *) crane digest "$(mirrored "$1")" ;;
  esac
}

# The digest that reference $1 has in the registry, or nothing if there is no such
# thing. Anything else that goes wrong is an error, not an absence.
published() {
  if answer=$(crane digest "$1" 2>&1); then
    printf '%s\n' "$answer" | tail -n 1
    return
  fi
  case $answer in
    *MANIFEST_UNKNOWN* | *NAME_UNKNOWN* | *NOT_FOUND* | *'404 Not Found'*) ;;
    *) fail "cannot ask for $1: $(reason "$answer")" ;;
  esac
}

# The last line of a tool's output, which says what went wrong.
reason() {
  printf '%s\n' "$1" | tail -n 1
}

# Pushes tarball $1 by its digest, without a tag, and leaves that digest in $pushed.
# What arrived must be what was in the file.
push_tarball() {
  pushed=$(crane digest --tarball "$1") || fail "$1 is no image"
  crane push "$1" "$IMAGE_REPOSITORY@$pushed" >/dev/null ||
    fail "cannot push $1 to $IMAGE_REPOSITORY: see the lines above"
  arrived=sha256:$(crane manifest "$IMAGE_REPOSITORY@$pushed" | sha256sum | cut -d ' ' -f 1)
  [ "$arrived" = "$pushed" ] ||
    fail "$IMAGE_REPOSITORY has $arrived, want $pushed, the digest of $1"
}

# Stops unless file $1 has the SHA-256 sum $2, which the job that verified it noted.
same_bytes() {
  sum=$(sha256sum "$1" | cut -d ' ' -f 1)
  [ "$sum" = "$2" ] || fail "$1 is not the file that was verified: SHA-256 is $sum, want $2"
}
