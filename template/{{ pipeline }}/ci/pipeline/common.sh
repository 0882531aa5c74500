# What the scripts of the jobs share. They run in any POSIX shell: the images of
# crane and Kaniko have busybox's.
# shellcheck shell=sh
set -eu
umask 022
work=.pipeline
mkdir -p "$work"
. ci/pipeline/provider.sh

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

# Stops unless value $2 is of the form that the name $1 stands for. $3 says where it is from.
check() {
  digest='sha256:[0-9a-f]{64}'
  host='[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?'
  repository="$host(/[a-z0-9]+([._-]+[a-z0-9]+)*)+"
  case $1 in
    KIND) form='branch|release|request' ;;
    BUILD) form='[0-9]{1,18}' ;;
    SERVICE_VERSION) form='[0-9A-Za-z_][0-9A-Za-z_.-]{0,99}' ;;
    RELEASE_TAG) form='v?[0-9]+\.[0-9]+\.[0-9]+' ;;
    *_REVISION) form='[0-9a-f]{40}([0-9a-f]{24})?' ;;
    *_CREATED) form='[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+)' ;;
    *_SHA256) form='[0-9a-f]{64}' ;;
    BASE_DIGEST | CI_IMAGE_DIGEST) form="($digest)?" ;;
    *_DIGEST) form=$digest ;;
    BASE_NAME) form='[0-9A-Za-z][0-9A-Za-z._/:-]*' ;;
    CI_IMAGE_TAG) form="$repository:[0-9a-f]{40}" ;;
    BUILDER_IMAGE) form="$repository@$digest" ;;
    *_REPOSITORY) form=$repository ;;
  esac
  printf '%s\n' "$2" | grep -Eqx -e "$form" && [ "$(printf '%s\n' "$2" | wc -l)" -eq 1 ] ||
    fail "$1 is \"$2\", which is none: $3"
}

# Leaves what the job $1 noted under the names that follow in variables of these names. The
# file that it left decides: a variable of the project or the group, or one in a team's
# YAML, would hide what the job reports under the same name.
noted() {
  job=$1
  shift
  [ -f "$work/$job.env" ] ||
    fail "$work/$job.env is missing, which the job $job leaves: start a new pipeline"
  for name in "$@"; do
    value=$(sed -n "s/^$name=//p" "$work/$job.env")
    check "$name" "$value" "$work/$job.env, from the job $job"
    eval "$name=\$value"
  done
}

# The sum of all files and links below directory $1. Names that need quoting are left
# out, since the tools of two images do not quote them alike.
tree_sum() {
  (
    export LC_ALL=C
    cd "$1" || exit
    {
      find . -type f ! -name '*[! -~]*' ! -name '*\\*' -exec sha256sum {} +
      find . -type l ! -name '*[! -~]*' -exec sh -c \
        'for link; do printf "%s -> %s\n" "$link" "$(readlink "$link")"; done' sh {} +
    } | sort | sha256sum | cut -d ' ' -f 1
  )
}

# Leaves in $source_dir where the files are that this pipeline is about: the checkout, or
# in a scheduled pipeline those of the newest release. No variable decides it.
find_source() {
  source_dir=.
  [ "$trigger" = schedule ] || return 0
  noted release-source RELEASE_TAG RELEASE_REVISION SOURCE_SHA256
  source_dir=$work/source
  [ -d "$source_dir" ] && [ "$(tree_sum "$source_dir")" = "$SOURCE_SHA256" ] ||
    fail "$source_dir does not have the files of $RELEASE_TAG that the job release-source took: start a new pipeline"
}

# Leaves what `resolve` noted in its variables, once it is sure that it is about this pipeline.
find_version() {
  noted resolve KIND SERVICE_VERSION SERVICE_REVISION SERVICE_CREATED BUILD \
    BASE_NAME BASE_DIGEST CI_IMAGE_TAG CI_IMAGE_DIGEST
  case $trigger in
    schedule) wanted='release ' ;;
    tag) wanted="release ${git_tag#v} $git_revision" ;;
    request) wanted="request $branch_name-$short_revision $git_revision" ;;
    branch) wanted="branch $branch_name-$short_revision $git_revision" ;;
  esac
  case "$KIND $SERVICE_VERSION $SERVICE_REVISION" in
    "$wanted"*) ;;
    *) fail "$work/resolve.env is about $KIND $SERVICE_VERSION, and this pipeline is not: start a new one" ;;
  esac
}

# Stops unless .pipeline/bases has lines "ARGUMENT IMAGE DIGEST", as `resolve` leaves them.
check_bases() {
  [ -s "$work/bases" ] || fail "$work/bases is missing, which the job resolve leaves: start a new pipeline"
  ! grep -Evx -e '(-|[A-Z][A-Z0-9_]*_IMAGE) [0-9A-Za-z][0-9A-Za-z._/:@-]* sha256:[0-9a-f]{64}' "$work/bases" >&2 ||
    fail "$work/bases has the lines above, want an argument, an image and its digest: start a new pipeline"
}

# Stops where nothing may leave the pipeline.
may_publish() {
  [ "$trigger" != request ] || fail "the pipeline of a merge request publishes nothing"
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
# thing; with a second argument also where it may not be read. Anything else that goes
# wrong is an error, not an absence.
published() {
  if answer=$(crane digest "$1" 2>&1); then
    printf '%s\n' "$answer" | tail -n 1
    return
  fi
  case $answer in
    *MANIFEST_UNKNOWN* | *NAME_UNKNOWN* | *NOT_FOUND* | *'404 Not Found'*) return ;;
  esac
  case ${2:-}$answer in
    readable*UNAUTHORIZED* | readable*DENIED* | readable*'401 Unauthorized'* | readable*'403 Forbidden'*) ;;
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
