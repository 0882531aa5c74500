#!/bin/sh
# Runs a command of a job in a container:
#
#   run.sh crane SCRIPT...     a script of ci/pipeline in crane's image
#   run.sh attest SCRIPT...    the same, with what signs: for the job attest only
#   run.sh kaniko SCRIPT...    a script of ci/pipeline in Kaniko's image
#   run.sh syft SCRIPT...      a script of ci/pipeline in Syft's image
#   run.sh grype SCRIPT...     a script of ci/pipeline in Grype's image
#   run.sh watch SCRIPT...     the same, where it reads bases: for watch.yml only
#   run.sh update SCRIPT...    a script of ci/pipeline in the image TEMPLATE_UPDATE_IMAGE
#   run.sh ci COMMAND...       in the CI image, in the checkout
#   run.sh source COMMAND...   in the CI image, where the files are that the run is about: the
#                              checkout, or in a scheduled run those of the newest release
#
# This is the one place that talks to docker (ADR-009). A container has the workspace and
# neither docker's socket nor a privilege. A variable gets in by its name, so that no value
# is on a command line; the CI image gets no credentials. PASS="NAME NAME" names variables
# of the team's that it gets. With `containers: true` the runner has started the job in that
# image already, and the command runs as it is.
. ci/pipeline/common.sh

# The tools, each pinned here and nowhere else; cosign is in ci/pipeline/cosign.sh. A team
# that has them on a mirror sets REGISTRY_MAP; one that brings its own gives the workflows
# crane-image, kaniko-image, syft-image or grype-image.
crane=gcr.io/go-containerregistry/crane/debug:v0.22.1@sha256:e78770b31258a3846f878036d9c1f63fbe4c871f9f56990bf77fd95c013e3c1b
kaniko=ghcr.io/osscontainertools/kaniko:v1.28.2-alpine@sha256:44f90ae1ba366aeedbd0f2d56dbe246354553e47904338dd9321a41a44bea9ff
syft=docker.io/anchore/syft:v1.44.0-debug@sha256:6dd8fb28e1b799e7cadaff6be2ec6d555757c4eeec0c0e48162f20b042ffa1ff
grype=docker.io/anchore/grype:v0.119.0-debug@sha256:166001ed93ae8463acad508c746586ced665abe9d817ae452ed9b781ddb6cebb

where=${1:-}
[ $# -ge 2 ] || fail "usage: run.sh crane|attest|kaniko|syft|grype|watch|update|ci|source COMMAND..."
shift
# No service's image takes part: the credentials are those for this one.
[ "$where" != update ] || export IMAGE_REPOSITORY="${TEMPLATE_UPDATE_IMAGE%%@*}"
need "it is in $settings" IMAGE_REPOSITORY
[ "${IN_CONTAINER:-}" = true ] || docker --version >/dev/null 2>&1 ||
  fail "this runner has no docker: want a Linux runner with docker, such as ubuntu-latest, or containers: true in $settings"

# Stops unless image $1 names a digest.
pinned() {
  case $1 in
    *@sha256:*) ;;
    *) fail "the image $1 is not pinned: want <name>:<tag>@sha256:<digest>" ;;
  esac
}

# The files of the newest release come packed: what a job leaves for others has no modes.
[ ! -f "$work/source.tar" ] || [ -d "$work/source" ] || tar -x -f "$work/source.tar" -C "$work"

# The workspace belongs to the user that the runner has.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'

if [ "${IN_CONTAINER:-}" = true ]; then
  program='' tool=$where
  case $where in
    crane | attest) program=crane tool=crane ;;
    kaniko) program=/kaniko/executor ;;
    syft | grype) program=/$where ;;
    ci | source) unset REGISTRY_USER REGISTRY_PASSWORD DOCKER_AUTH_CONFIG GITHUB_TOKEN ;;
  esac
  [ -z "$program" ] || command -v "$program" >/dev/null 2>&1 ||
    fail "this container has no $program: containers: true wants $tool-image in $settings"
  if [ "$where" = source ]; then
    find_source
    cd "$source_dir" || exit
  fi
  case $where in ci | source) ;; *) set -- sh "$@" ;; esac
  exec "$@"
fi

variables="CI GITHUB_ACTIONS GITHUB_ACTOR GITHUB_EVENT_NAME GITHUB_HEAD_REF GITHUB_REF_NAME
  GITHUB_REF GITHUB_REF_TYPE GITHUB_REPOSITORY GITHUB_RUN_ATTEMPT GITHUB_RUN_ID GITHUB_RUN_NUMBER
  GITHUB_SERVER_URL GITHUB_SHA TOOL_IMAGE
  PULL_REQUEST_REPOSITORY BASE_VERIFICATION BUILD_NUMBER_OFFSET DEPLOYED IMAGE_REPOSITORY
  VULNERABILITY_DB_URL VULNERABILITY_DB_MAX_AGE
  HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy"
of_registries="REGISTRY_USER REGISTRY_PASSWORD DOCKER_AUTH_CONFIG CREDENTIAL_HELPERS GITHUB_TOKEN"
of_tools="CI_IMAGE_REPOSITORY CACHE_REPOSITORY CI_IMAGE_FLAGS KANIKO_FLAGS
  PLAIN_HTTP_REGISTRIES REGISTRY_MAP"
directory=/workspace

case $where in
  crane | attest)
    image=${CRANE_IMAGE:-$(mirrored "$crane")}
    pinned "$image"
    variables="$variables $of_tools $of_registries"
    [ "$where" = crane ] || variables="$variables SIGNING COSIGN_PRIVATE_KEY COSIGN_PASSWORD
      ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN"
    ;;
  kaniko)
    image=${KANIKO_IMAGE:-$(mirrored "$kaniko")}
    pinned "$image"
    variables="$variables $of_tools $of_registries PACKAGE_CREDENTIALS KANIKO_PRESERVE_CONTEXT KANIKO_CLEANUP"
    # The container ends with the build: nothing has to be put back.
    export KANIKO_PRESERVE_CONTEXT=0 KANIKO_CLEANUP=0
    ;;
  syft)
    image=${SYFT_IMAGE:-$(mirrored "$syft")}
    pinned "$image"
    ;;
  grype | watch)
    image=${GRYPE_IMAGE:-$(mirrored "$grype")}
    pinned "$image"
    [ "$where" = grype ] || variables="$variables $of_tools $of_registries"
    ;;
  update)
    image=$TEMPLATE_UPDATE_IMAGE
    pinned "$image"
    variables="$variables GITHUB_API_URL TEMPLATE_UPDATE_TOKEN"
    ;;
  ci | source)
    find_version
    noted ci-image BUILDER_IMAGE
    image=$BUILDER_IMAGE
    variables="$variables ${PASS:-} GIT_CONFIG_COUNT GIT_CONFIG_KEY_0 GIT_CONFIG_VALUE_0"
    if [ "$where" = source ]; then
      find_source
      directory=/workspace/$source_dir
    fi
    ;;
  *) fail "usage: run.sh crane|attest|kaniko|syft|grype|watch|update|ci|source COMMAND..." ;;
esac

# For what docker pulls itself: outside the workspace, gone with this script.
own_config=${DOCKER_CONFIG:-$HOME/.docker}/config.json
DOCKER_CONFIG=$(umask 077 && mktemp -d)
export DOCKER_CONFIG
trap 'rm -rf "$DOCKER_CONFIG"' EXIT
[ ! -f "$own_config" ] || (umask 077 && cp "$own_config" "$DOCKER_CONFIG/config.json")
login
if { [ "$where" = ci ] || [ "$where" = source ]; } && [ "$CI_IMAGE_TO" = file ]; then
  docker load --quiet --input "$work/ci-image.tar"
  image=$CI_IMAGE_TAG
fi

[ "$where" = ci ] || [ "$where" = source ] || set -- sh "$@"
export TOOL_IMAGE="$image"
set -- "$image" "$@"
for name in $variables; do
  set -- --env "$name" "$@"
done
# What Kaniko, and root in the CI image, need: to write files and to change their owners.
docker run --rm --cap-drop=ALL --cap-add=CHOWN --cap-add=DAC_OVERRIDE --cap-add=FOWNER \
  --cap-add=SETGID --cap-add=SETUID --security-opt=no-new-privileges \
  --volume "$PWD:/workspace" --workdir "$directory" --entrypoint '' "$@"
