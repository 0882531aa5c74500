#!/bin/sh
# Prints the kubectl line that opens a shell beside a service in its pod, and runs it with
# RUN=1. The Makefile calls it:
#
#   make debug-pod POD=payments-6c5f9d7b8-x2x4v [NAMESPACE=payments] [CONTAINER=payments] [RUN=1]
#
# The shell is in the twin of the very image that runs. Which one that is, the pod says in
# annotations that came with its image, or the tag does, or the registry (crane or skopeo).
set -eu

fail() {
  echo "debug-pod: $1" >&2
  exit 1
}

# Stops unless $2, the value of $1, is a name in a cluster.
name() {
  case $2 in
    '' | *[!0-9a-z.-]* | [.-]*) fail "$1: got \"$2\", want a name such as payments-6c5f9d7b8-x2x4v" ;;
  esac
}

[ -n "${POD:-}" ] || fail "say which pod: make debug-pod POD=… [NAMESPACE=…] [RUN=1]"
name POD "$POD"
[ -z "${NAMESPACE:-}" ] || name NAMESPACE "$NAMESPACE"
[ -z "${CONTAINER:-}" ] || name CONTAINER "$CONTAINER"
command -v kubectl >/dev/null 2>&1 || fail "kubectl is not installed"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

# A container is one line: what it is, its name and what is known of it.
kubectl ${NAMESPACE:+--namespace "$NAMESPACE"} get pod "$POD" --output jsonpath='default {.metadata.annotations.kubectl\.kubernetes\.io/default-container}
twin {.metadata.annotations.debug-image}
of {.metadata.annotations.debug-image-of}
{range .spec.containers[*]}container {.name} {.image}
user {.name} {.securityContext.runAsUser}
group {.name} {.securityContext.runAsGroup}
{end}{range .status.containerStatuses[*]}running {.name} {.imageID}
{end}{range .spec.ephemeralContainers[*]}session {.name}
{end}' >"$scratch/pod" || exit 1

# The last word of the line that begins with the words $1.
known() {
  awk -v words="$1 " 'index($0, words) == 1 { print substr($0, length(words) + 1); exit }' "$scratch/pod"
}

container=${CONTAINER:-$(known default)}
container=${container:-$(sed -n 's/^container \([^ ]*\) .*/\1/p' "$scratch/pod" | head -n 1)}
image=$(known "container $container")
[ -n "$image" ] || fail "the pod has no container $container; it has: $(sed -n 's/^container \([^ ]*\) .*/\1/p' "$scratch/pod" | paste -s -d ' ' -)"

# What the pod was told, or where that is a tag, what the node pulled for it.
case $image in
  *@sha256:*) digest=${image##*@} ;;
  *) digest=$(known "running $container") && digest=${digest##*@} ;;
esac
printf '%s\n' "$digest" | grep -Eqx 'sha256:[0-9a-f]{64}' || digest=''
repository=${image%@*}
tag=''
case ${repository##*/} in
  *:*)
    tag=${repository##*:}
    repository=${repository%:*}
    ;;
esac

# Lists the tags of the repository, and the digest of a tag, with what is installed.
tags() {
  if command -v crane >/dev/null 2>&1; then
    crane ls "$repository"
  else
    skopeo list-tags "docker://$repository" | sed -n 's/^ *"\([^"]*\)",\{0,1\}$/\1/p'
  fi
}
digest_of() {
  if command -v crane >/dev/null 2>&1; then
    crane digest "$repository:$1"
  else
    skopeo inspect --format '{{.Digest}}' "docker://$repository:$1"
  fi
}

# Leaves the twin of what runs in $twin.
find_twin() {
  twin=$(known twin)
  if [ -n "$twin" ] && [ -n "$digest" ] && [ "$(known of)" = "$digest" ]; then
    return
  fi
  # The tags of a build never move.
  if printf '%s\n' "$tag" | grep -Eq -e '-b[0-9]+$'; then
    twin=$repository:$tag-debug
    return
  fi
  [ -n "$digest" ] || fail "$image is no digest, and the node does not say which one it pulled: has the pod started?"
  command -v crane >/dev/null 2>&1 || command -v skopeo >/dev/null 2>&1 ||
    fail "neither the pod nor its tag says which build $image is; install crane or skopeo, so that the registry is asked"
  tags >"$scratch/tags" || fail "cannot list the tags of $repository: see the lines above"
  sed -n 's/-debug$//p' "$scratch/tags" >"$scratch/builds"
  while IFS= read -r build; do
    if grep -Fqx -e "$build" "$scratch/tags" && [ "$(digest_of "$build" </dev/null)" = "$digest" ]; then
      twin=$repository@$(digest_of "$build-debug" </dev/null) || exit 1
      return
    fi
  done <"$scratch/builds"
  fail "$repository has no tag for $digest that has a twin"
}

find_twin
printf '%s\n' "$twin" | grep -Eqx '[0-9a-z][0-9A-Za-z._/:@-]*' || fail "\"$twin\" is no image"

session=debugger
number=1
while grep -Fqx "session $session" "$scratch/pod"; do
  number=$((number + 1))
  session=debugger-$number
done

set -- ${NAMESPACE:+--namespace "$NAMESPACE"} debug --stdin --tty "$POD" --container="$session" \
  --image="$twin" --target="$container" --profile=restricted
# The user of the pod is inherited, that of a container is not.
user=$(known "user $container")
group=$(known "group $container")
custom=''
if [ -n "$user$group" ]; then
  custom="{\"securityContext\": {${user:+\"runAsUser\": $user}${user:+${group:+, }}${group:+\"runAsGroup\": $group}}}"
fi

if [ "${RUN:-}" = 1 ]; then
  if [ -n "$custom" ]; then
    printf '%s\n' "$custom" >"$scratch/debugger.json"
    set -- "$@" --custom="$scratch/debugger.json"
  fi
  echo "kubectl $* -- /busybox/sh" >&2
  kubectl "$@" -- /busybox/sh
else
  if [ -n "$custom" ]; then
    echo "echo '$custom' >debugger.json"
    set -- "$@" --custom=debugger.json
  fi
  echo "kubectl $* -- /busybox/sh"
fi
