#!/bin/sh
# Verifies image $1 with the keys of the repository, and shows how it was built and what is in
# it; `make provenance` calls it. Without a key in ci/signing/cosign.pub it asks for the identity
# of the project, PROJECT, from a release's tag or from a rebuild on the default branch.
set -eu
. ci/pipeline/say.sh
# Before there is a function of that name.
installed=$(command -v cosign || true)
. ci/pipeline/cosign.sh

image=${1:-}
[ -n "$image" ] || fail "IMAGE is not set: want make provenance IMAGE=registry.example.com/payments:1.4.2"
cosign_dir=$(umask 077 && mktemp -d)
trap 'rm -rf "$cosign_dir"' EXIT
trap 'exit 1' HUP INT TERM
if [ -n "$installed" ]; then
  cosign() { command cosign "$@"; }
else
  engine=$(sh ci/engine.sh which)
  [ "$engine" != buildah ] || fail "install cosign: buildah alone cannot run it"
  echo "cosign is not installed: it runs in $cosign_image" >&2
  mkdir -p "$cosign_dir/docker"
  for config in "${DOCKER_CONFIG:-$HOME/.docker}/config.json" "${REGISTRY_AUTH_FILE:-${XDG_RUNTIME_DIR:-/run}/containers/auth.json}"; do
    [ -f "$config" ] || continue
    ! grep -Eq '"cred(sStore|Helpers)"' "$config" ||
      echo "$config names a program that knows the credentials, and that image has none: if the registry wants some, install cosign" >&2
    cp "$config" "$cosign_dir/docker/config.json"
    break
  done
  # A rootless engine calls the user root in there; a daemon's root may read all files as well.
  cosign() {
    "$engine" run --rm --network host --user 0:0 --cap-drop ALL --cap-add DAC_OVERRIDE \
      --security-opt no-new-privileges --security-opt label=disable \
      --env HOME=/tmp --env DOCKER_CONFIG="$cosign_dir/docker" --tmpfs /tmp \
      --volume "$cosign_dir:$cosign_dir:ro" --volume "$PWD:/workspace:ro" --workdir /workspace \
      "$cosign_image" "$@"
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
  workflow=${PROJECT%/}$file
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
