# What the scripts of the jobs share. They run in any POSIX shell: the images of
# crane and Kaniko have busybox's.
# shellcheck shell=sh
set -eu
umask 022
work=.pipeline
mkdir -p "$work"
. ci/pipeline/say.sh
. ci/pipeline/provider.sh
# Where registries are, where the house is inside a company network.
# shellcheck source=/dev/null
[ ! -f ci/house/jobs.sh ] || . ci/house/jobs.sh

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
    CI_IMAGE_TO) form='registry|file' ;;
    CI_IMAGE_TAG) form="$repository:[0-9a-f]{40}" ;;
    BUILDER_IMAGE) form="$repository@$digest" ;;
    BUILT_WITH) form="($repository(:[0-9A-Za-z_.-]+)?(@$digest)?)?" ;;
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
    BASE_NAME BASE_DIGEST CI_IMAGE_TAG CI_IMAGE_DIGEST CI_IMAGE_TO
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

# The build arguments of target $1, one a line: for Kaniko, and for the provenance.
build_arguments() {
  printf '%s\n' "VERSION=$SERVICE_VERSION" "REVISION=$SERVICE_REVISION" "CREATED=$SERVICE_CREATED" \
    "SOURCE_URL=$project_url" "BASE_NAME=$BASE_NAME" "BASE_DIGEST=$BASE_DIGEST"
  # Kaniko reads its bases from registries: where the CI image is a file, the service is
  # compiled by the builder that the Dockerfile names.
  [ "$CI_IMAGE_TO" = file ] || echo "BUILDER_IMAGE=$BUILDER_IMAGE"
  # The argument's digest wins over the tag that the Dockerfile names.
  while read -r argument image digest; do
    [ "$argument" = - ] || echo "$argument=${image%@*}@$digest"
  done <"$work/bases"
  [ "$1" != debug ] || echo "DEBUG_FROM=$IMAGE_REPOSITORY@$RELEASE_DIGEST"
}

# Stops where nothing may leave the pipeline.
may_publish() {
  [ "$trigger" != request ] || fail "the pipeline of $request_name publishes nothing"
}

# The name that crane and Kaniko look for in a config.json, for the host or the repository $1.
key_of() {
  case $1 in
    docker.io | index.docker.io) echo https://index.docker.io/v1/ ;;
    docker.io/*) echo "index.$1" ;;
    *) printf '%s\n' "$1" ;;
  esac
}

# Adds user $1 and password $2 for each host or repository that follows.
credentials_for() {
  auth=$(printf '%s:%s' "$1" "$2" | base64 | tr -d '\n')
  shift 2
  separator=''
  printf '{"auths":{'
  for place in "$@"; do
    printf '%s"%s":{"auth":"%s"}' "$separator" "$(key_of "$place")" "$auth"
    separator=,
  done
  printf '}}\n'
  auth=''
}

# The repositories that are pushed to and whose name begins with $1, one a line.
pushed_below() {
  for place in "${IMAGE_REPOSITORY:-}" "$(ci_repository)" "${CACHE_REPOSITORY:-}" "${project_image:+$project_image/ci}"; do
    case $place/ in "$1"/*) printf '%s\n' "$place" ;; esac
  done
}

# Where the CI image is kept. Docker Hub has no level below an account's repositories.
ci_repository() {
  case ${CI_IMAGE_REPOSITORY:-} in
    docker.io/*/*/ci | index.docker.io/*/*/ci) printf '%s-ci\n' "${CI_IMAGE_REPOSITORY%/ci}" ;;
    *) printf '%s\n' "${CI_IMAGE_REPOSITORY:-}" ;;
  esac
}

# Writes the credentials for crane and Kaniko, all that there are: what lies in the image's
# own config.json, the job's own for the project's registry, REGISTRY_USER's,
# DOCKER_AUTH_CONFIG, and CREDENTIAL_HELPERS. Where two know a host the later one has it, and the
# repositories that are pushed to keep the job's, or REGISTRY_USER's. It lies outside the workspace,
# readable by this user only, and never on a command line.
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
  user=${REGISTRY_USER:-} password=${REGISTRY_PASSWORD:-}
  if [ -n "$user$password" ] && { [ -z "$user" ] || [ -z "$password" ]; }; then
    [ -n "${DOCKER_AUTH_CONFIG:-}" ] ||
      fail "REGISTRY_USER and REGISTRY_PASSWORD: one of them is not set, want both"
    user='' password=''
  fi
  credentials_dir=$(umask 077 && mktemp -d)
  (
    umask 077
    cd "$credentials_dir" || exit
    [ ! -f "$DOCKER_CONFIG/config.json" ] || cat "$DOCKER_CONFIG/config.json" >1.image
    if [ -n "$project_registry" ] && [ -n "$project_user" ] && [ -n "$project_password" ]; then
      credentials_for "$project_user" "$project_password" "$project_registry" >2.own
      # shellcheck disable=SC2046 # no name of a repository has a space
      [ -z "$project_image" ] ||
        credentials_for "$project_user" "$project_password" $(pushed_below "$project_image") >6.own
    fi
    if [ -n "$proxy_registry" ] && [ -n "$proxy_user" ] && [ -n "$proxy_password" ]; then
      credentials_for "$proxy_user" "$proxy_password" "$proxy_registry" >2a.own
    fi
    if [ -n "$user" ]; then
      credentials_for "$user" "$password" "$host" >3.own
      # shellcheck disable=SC2046 # no name of a repository has a space
      credentials_for "$user" "$password" $(pushed_below "$host") >7.own
    fi
    if [ -f "${DOCKER_AUTH_CONFIG:-}" ]; then
      cat "$DOCKER_AUTH_CONFIG" >4.config
    elif [ -n "${DOCKER_AUTH_CONFIG:-}" ]; then
      printf '%s\n' "$DOCKER_AUTH_CONFIG" >4.config
    fi
    helpers >5.own
  ) || exit 1
  merged=$(cd "$credentials_dir" && awk -v keys=keys -f "$OLDPWD/ci/pipeline/credentials.awk" ./*.* 2>faults) || {
    case $(cat "$credentials_dir/faults") in
      *4.config*) what=DOCKER_AUTH_CONFIG ;;
      *) what="$DOCKER_CONFIG/config.json" ;;
    esac
    rm -rf "$credentials_dir"
    fail "$what is not JSON: want what docker writes into its config.json"
  }
  cat "$credentials_dir/faults" >&2
  known_credentials=''
  [ ! -f "$credentials_dir/keys" ] || known_credentials=$(cat "$credentials_dir/keys")
  rm -rf "$credentials_dir"
  if [ "$merged" != '{"auths":{}}' ] || [ -n "${DOCKER_AUTH_CONFIG:-}" ]; then
    (umask 077 && mkdir -p "$DOCKER_CONFIG" && printf '%s\n' "$merged" >"$DOCKER_CONFIG/config.json" &&
      chmod 600 "$DOCKER_CONFIG/config.json")
  fi
  merged='' password=''
  [ -n "${DOCKER_AUTH_CONFIG:-}" ] || has_credentials "$IMAGE_REPOSITORY" ||
    echo "no credentials for $host: REGISTRY_USER and REGISTRY_PASSWORD are not set"
}

# CREDENTIAL_HELPERS (host=helper;host=helper) as a config.json.
helpers() {
  list=$(printf '%s\n' "${CREDENTIAL_HELPERS:-}" | tr ';' '\n')
  separator=''
  printf '{"credHelpers":{'
  for item in $list; do
    printf '%s\n' "$item" | grep -Eqx '[a-z0-9][a-z0-9.-]*(:[0-9]+)?=[A-Za-z0-9._-]+' ||
      fail "CREDENTIAL_HELPERS: \"$item\" is none, want a host and a helper, such as registry.example.com=ecr-login"
    command -v "docker-credential-${item#*=}" >/dev/null 2>&1 ||
      echo "docker-credential-${item#*=} is not in this job's image, and ${item%%=*} needs it" >&2
    printf '%s"%s":"%s"' "$separator" "$(key_of "${item%%=*}")" "${item#*=}"
    separator=,
  done
  printf '}}\n'
}

# Says whether there are credentials for the repository $1.
has_credentials() {
  printf '%s\n' "${known_credentials:-}" | grep -Fqx -e "$(key_of "$1")" -e "$(key_of "${1%%/*}")"
}

# crane, told of the registries that have no TLS (PLAIN_HTTP_REGISTRIES: host;host).
crane() {
  plain=''
  ! without_tls "$@" || plain=--insecure
  command crane ${plain:+"$plain"} "$@"
}

# Whether one of the words is an image of a registry that has no TLS.
without_tls() {
  for word in "$@"; do
    # A path has no host.
    case $word in /*) continue ;; esac
    case ";${PLAIN_HTTP_REGISTRIES:-};" in *";${word%%/*};"*) return 0 ;; esac
  done
  return 1
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

# The newest of the versions on stdin; no pre-releases.
newest_version() {
  grep -Ex '[0-9]+\.[0-9]+\.[0-9]+' | sort -t . -k 1,1n -k 2,2n -k 3,3n | tail -n 1
}

# Stops unless file $1 has the SHA-256 sum $2, which the job that verified it noted.
same_bytes() {
  [ -f "$1" ] || fail "$1 is missing, which a job before leaves: start a new pipeline"
  sum=$(sha256sum "$1" | cut -d ' ' -f 1)
  [ "$sum" = "$2" ] || fail "$1 is not the file that was verified: SHA-256 is $sum, want $2"
}
