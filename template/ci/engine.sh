#!/bin/sh
# Builds, runs and verifies the service's images with the container engine that
# works on this machine: docker (with a daemon and buildx), podman or buildah. Set
# ENGINE=docker|podman|buildah to insist on one. The Makefile calls it.
set -eu

usage() {
  cat >&2 <<'USAGE'
usage: ci/engine.sh which
       ci/engine.sh tag VERSION
       ci/engine.sh build TARGET IMAGE [BUILD_ARG=VALUE ...]
       ci/engine.sh run IMAGE [PORT]
       ci/engine.sh shell IMAGE
       ci/engine.sh verify IMAGE
USAGE
  exit 2
}

# Says why ENGINE $1 cannot be used; says nothing when it can.
reason_against() {
  if ! command -v "$1" >/dev/null 2>&1; then
    echo "not installed"
  elif [ "$1" = docker ] && ! docker info >/dev/null 2>&1; then
    echo "the client is installed, but no daemon answers (docker info)"
  elif [ "$1" = docker ] && ! docker buildx version >/dev/null 2>&1; then
    echo "the buildx plugin is missing (docker buildx version)"
  elif [ "$1" != docker ] && ! "$1" info >/dev/null 2>&1; then
    echo "installed, but '$1 info' fails"
  fi
}

choose_engine() {
  report=''
  for candidate in $candidates; do
    reason=$(reason_against "$candidate")
    if [ -z "$reason" ]; then
      echo "$candidate"
      return
    fi
    report="$report
  $candidate: $reason"
  done
  echo "no container engine works on this machine:$report
Start the docker daemon, or install podman (apt-get install podman)." >&2
  exit 1
}

# The words of image $2's $1 (Entrypoint or Cmd) in buildah's storage, one a line.
buildah_config() {
  buildah inspect --type image --format "{{range .OCIv1.Config.$1}}{{println .}}{{end}}" "$2"
}

# buildah runs commands in a working container; leaves its name in $container.
buildah_from() {
  container=$(buildah from --pull=false "$1")
  trap 'buildah rm "$container" >/dev/null' EXIT
}

# Says whether engine $1 has image $2: 0 or 1. An engine that does not work has none,
# and any other failure ends the command with the engine's own words.
has_image() {
  case $1 in
    docker) answer=$(docker image inspect "$2" 2>&1) ;;
    podman) answer=$(podman image exists "$2" 2>&1) ;;
    buildah) answer=$(buildah inspect --type image "$2" 2>&1) ;;
  esac && return
  code=$?
  command -v "$1" >/dev/null 2>&1 || return 1
  case $1:$code:$answer in
    podman:1:* | *:1: | *'No such image'* | *'No such object'* | *'no such image'* | *'image not known'*) return 1 ;;
  esac
  reason=$(reason_against "$1")
  if [ -n "$reason" ]; then
    echo "$1: $reason"
    return 1
  fi
  printf '%s\n' "$answer" >&2
  echo "$1 cannot say whether it has $2: see the lines above" >&2
  exit 1
}

# Writes image $2 of engine $1 to file $3.
save_image() {
  case $1 in
    docker) docker image save --output "$3" "$2" ;;
    podman) podman image save --quiet --format docker-archive --output "$3" "$2" ;;
    buildah) buildah push --quiet "$2" "docker-archive:$3:$2" ;;
  esac
}

# Checks image $1 in file $2 with the options that follow; remembers a failure in $status.
verify_image() {
  image=$1
  file=$2
  shift 2
  python3 -B ci/conformance image "$file" --name "$image" "$@" || status=$?
}

# Checks image $2 of engine $1, and the debug image if that is there, too.
verify_images() {
  status=0
  directory=$(mktemp -d)
  trap 'rm -rf "$directory"' EXIT
  trap 'exit 1' HUP INT TERM
  save_image "$1" "$2" "$directory/release"
  verify_image "$2" "$directory/release"
  if has_image "$1" "$2-debug"; then
    save_image "$1" "$2-debug" "$directory/debug"
    case $1 in
      # It builds the release once more for the debug image, into layers of its own.
      buildah) verify_image "$2-debug" "$directory/debug" --debug ;;
      *) verify_image "$2-debug" "$directory/debug" --twin "$directory/release" ;;
    esac
  fi
  exit "$status"
}

[ $# -ge 1 ] || usage
command=$1
shift

# A version as an image's tag. What git names may have characters that no tag has.
if [ "$command" = tag ]; then
  [ $# -eq 1 ] || usage
  LC_ALL=C
  version=${1:-dev} tag=''
  while [ -n "$version" ]; do
    good=${version%%[!0-9A-Za-z_.-]*}
    version=${version#"$good"}
    tag=$tag$good${version:+-}
    version=${version#?}
  done
  case $tag in [.-]*) tag=v$tag ;; esac
  while [ ${#tag} -gt 120 ]; do tag=${tag%?}; done
  [ "$tag" = "${1:-dev}" ] || printf '%s cannot be the tag of an image: it becomes %s\n' "$1" "$tag" >&2
  printf '%s\n' "$tag"
  exit
fi

case ${ENGINE:-} in
  '') candidates='docker podman buildah' ;;
  docker | podman | buildah) candidates=$ENGINE ;;
  *)
    echo "ENGINE: got \"$ENGINE\", want docker, podman or buildah" >&2
    exit 2
    ;;
esac

if [ "$command" = verify ]; then
  [ $# -eq 1 ] || usage
  for candidate in $candidates; do
    if has_image "$candidate" "$1"; then
      verify_images "$candidate" "$1"
    fi
  done
  echo "$1: not checked, no container engine here has it (make image builds it)"
  exit
fi

engine=$(choose_engine)

case $command in
  which)
    echo "$engine"
    ;;
  build)
    [ $# -ge 2 ] || usage
    target=$1
    image=$2
    shift 2
    # Each NAME=VALUE becomes --build-arg NAME=VALUE; the loop turns "$@" over once.
    for argument in "$@"; do
      set -- "$@" --build-arg "$argument"
      shift
    done
    # buildah resolves FROM ${DEBUG_FROM} to a stage only when it is passed.
    set -- --file image/Dockerfile --target "$target" --tag "$image" \
      --build-arg DEBUG_FROM=release "$@" .
    case $engine in
      docker) docker buildx build --load "$@" ;;
      # The docker format keeps HEALTHCHECK, which the OCI format has no place for.
      podman) podman build --format docker "$@" ;;
      buildah) buildah build --format docker "$@" ;;
    esac
    ;;
  run)
    [ $# -ge 1 ] || usage
    image=$1
    port=${2:-8080}
    echo "http://localhost:$port/livez (Ctrl-C stops the service)" >&2
    if [ "$engine" = buildah ]; then
      buildah_from "$image"
      # shellcheck disable=SC2046 # one word a line, by construction
      buildah run --cap-drop all --env "PORT=$port" "$container" -- \
        $(buildah_config Entrypoint "$image") $(buildah_config Cmd "$image")
    else
      options=''
      [ -t 0 ] && options='--tty --interactive'
      # podman leaves health checks to systemd, and gives up where that does not run.
      if [ "$engine" = podman ] && [ ! -d /run/systemd/system ]; then
        options="$options --no-healthcheck"
      fi
      # shellcheck disable=SC2086 # no word, or several
      exec "$engine" run --rm $options --read-only --cap-drop all \
        --security-opt no-new-privileges --env "PORT=$port" --publish "$port:$port" "$image"
    fi
    ;;
  shell)
    [ $# -eq 1 ] || usage
    if [ "$engine" = buildah ]; then
      buildah_from "$1"
      terminal=false
      [ -t 0 ] && terminal=true
      buildah run --terminal=$terminal --cap-drop all "$container" -- /busybox/sh
    else
      options='--interactive'
      [ -t 0 ] && options="$options --tty"
      # The shell is not the service: nothing is there to be healthy.
      # shellcheck disable=SC2086 # one word, or two
      exec "$engine" run --rm --no-healthcheck $options --read-only --cap-drop all \
        --security-opt no-new-privileges "$1" /busybox/sh
    fi
    ;;
  *)
    usage
    ;;
esac
