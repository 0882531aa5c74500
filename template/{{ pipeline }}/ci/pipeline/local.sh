#!/bin/sh
# Runs the pipeline on this machine, with gitlab-ci-local, for the commit that is
# checked out; `make ci` calls it. It publishes to IMAGE_REPOSITORY, which is asked
# for so that nothing goes to the real one by accident. Credentials belong in
# ~/.gitlab-ci-local/variables.yml. Further arguments go to gitlab-ci-local.
set -eu

if [ -z "${IMAGE_REPOSITORY:-}" ]; then
  echo "IMAGE_REPOSITORY is not set: say where to publish, such as
  make ci IMAGE_REPOSITORY=localhost:5000/payments" >&2
  exit 2
fi
if ! command -v gitlab-ci-local >/dev/null 2>&1; then
  echo "gitlab-ci-local is not installed: npm install --global gitlab-ci-local" >&2
  exit 1
fi
engine=$(sh ci/engine.sh which)
if [ "$engine" = buildah ]; then
  echo "the pipeline needs docker or podman to run its jobs; buildah alone cannot" >&2
  exit 1
fi
# The jobs reach a registry on this machine by its loopback address.
exec gitlab-ci-local --container-executable "$engine" --network host --no-artifacts-to-source \
  --variable "IMAGE_REPOSITORY=$IMAGE_REPOSITORY" "$@"
