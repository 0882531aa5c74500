#!/bin/sh
# Verifies image $1 with the keys of the repository, and shows how it was built and what is in
# it; `make provenance` calls it. Without a key in ci/signing/cosign.pub it asks for the identity
# of the project, PROJECT, from a release's tag or from a rebuild on the default branch.
set -eu
. ci/pipeline/cosign.sh

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

reason() {
  printf '%s\n' "$1" | tail -n 1
}

image=${1:-}
[ -n "$image" ] || fail "IMAGE is not set: want make provenance IMAGE=registry.example.com/payments:1.4.2"
cosign_dir=$(umask 077 && mktemp -d)
trap 'rm -rf "$cosign_dir"' EXIT
trap 'exit 1' HUP INT TERM
if command -v cosign >/dev/null 2>&1; then
  cosign() { command cosign "$@"; }
else
  engine=$(sh ci/engine.sh which)
  [ "$engine" != buildah ] || fail "install cosign: buildah alone cannot run it"
  echo "cosign is not installed: it runs in $cosign_image" >&2
  mkdir -p "$cosign_dir/docker"
  config=${DOCKER_CONFIG:-$HOME/.docker}/config.json
  [ ! -f "$config" ] || cp "$config" "$cosign_dir/docker/config.json"
  cosign() {
    "$engine" run --rm --network host --user "$(id -u):$(id -g)" --env HOME=/tmp --env DOCKER_CONFIG="$cosign_dir/docker" \
      --volume "$cosign_dir:$cosign_dir:ro" --volume "$PWD:/workspace:ro" --workdir /workspace \
      --tmpfs /tmp "$cosign_image" "$@"
  }
fi

workflow=''
if ! has_keys; then
  [ -n "${PROJECT:-}" ] ||
    fail "$signing_keys has no public key: commit it, or set PROJECT=https://gitlab.example.com/acme/payments where the pipeline signs keyless"
  case $PROJECT in
    https://github.com/*)
      token_issuer=https://token.actions.githubusercontent.com
      file=/.github/workflows/pipeline.yml
      ;;
    *)
      token_issuer=$(printf '%s\n' "$PROJECT" | sed 's|^\(https://[^/]*\).*|\1|')
      file=//.gitlab-ci.yml
      ;;
  esac
  workflow=$PROJECT$file
fi
trust "$workflow" "heads/${DEFAULT_BRANCH:-main}"

for form in referrer tags; do
  ! verified verify "$image" "$form" || break
  [ "$form" = referrer ] || fail "$image is not signed by $(signers): $(reason "$(cat "$cosign_dir/log")")"
done
echo "$image is signed by $(signers)"
for type in slsaprovenance1 spdxjson; do
  for form in referrer tags; do
    ! verified verify-attestation "$image" "$form" --type "$type" || break
    [ "$form" = referrer ] || fail "$image has no $type by $(signers): $(reason "$(cat "$cosign_dir/log")")"
  done
  statements | python3 -B ci/pipeline/show_provenance.py
done
