#!/bin/sh
# Builds with Kaniko: `ci`, the CI image, pushed under the hash of its inputs unless
# it is there, or to .pipeline/ci-image.tar where it may not be pushed; `release`, to .pipeline/release.tar; `debug`, from the release that was
# published, to .pipeline/debug.tar.
. ci/pipeline/common.sh

target=${1:-}
find_source
find_version
ci_repository=${CI_IMAGE_TAG%:*}
login

case $target in
  ci)
    if [ -n "$CI_IMAGE_DIGEST" ]; then
      echo "$CI_IMAGE_TAG is there"
      echo "BUILDER_IMAGE=$ci_repository@$CI_IMAGE_DIGEST" >"$work/ci-image.env"
      exit
    fi
    dockerfile=ci/image/Dockerfile
    # shellcheck disable=SC2086 # flags, one a word
    set -- --destination "$CI_IMAGE_TAG" ${CI_IMAGE_FLAGS:-}
    # A file or a text; Kaniko mounts it for the steps that ask for it, and keeps it out of images.
    if [ -f "${PACKAGE_CREDENTIALS:-}" ]; then
      set -- "$@" --secret "id=packages,src=$PACKAGE_CREDENTIALS"
    elif [ -n "${PACKAGE_CREDENTIALS:-}" ]; then
      set -- "$@" --secret id=packages,env=PACKAGE_CREDENTIALS
    fi
    [ "$CI_IMAGE_TO" = registry ] || set -- "$@" --no-push --tar-path "$PWD/$work/ci-image.tar"
    ;;
  release | debug)
    noted ci-image BUILDER_IMAGE
    check_bases
    dockerfile=image/Dockerfile
    if [ "$target" = debug ]; then
      may_publish
      noted publish RELEASE_DIGEST
    fi
    set -- --target "$target" --no-push --tar-path "$PWD/$work/$target.tar" --reproducible
    arguments=$(build_arguments "$target")
    while read -r argument; do
      set -- "$@" --build-arg "$argument"
    done <<ARGUMENTS
$arguments
ARGUMENTS
    ;;
  *)
    fail "usage: build.sh ci|release|debug"
    ;;
esac

if [ -n "${CACHE_REPOSITORY:-}" ] && [ "$trigger" != schedule ]; then
  set -- "$@" --cache=true --cache-repo "$CACHE_REPOSITORY"
else
  set -- "$@" --cache=false
fi
for host in $(printf '%s' "${PLAIN_HTTP_REGISTRIES:-}" | tr ';' ' '); do
  set -- "$@" --insecure-registry "$host"
done
if [ -n "${REGISTRY_MAP:-}" ]; then
  # Kaniko knows docker.io by its other name, too.
  map=$(printf '%s' "$REGISTRY_MAP" | tr ';' '\n' | sed -n 'p; s/^docker\.io=/index.docker.io=/p' | tr '\n' ';')
  set -- "$@" --registry-map "${map%;}"
fi

# Images that the Dockerfile names literally get their digest in a copy of it.
pinned=$PWD/$work/$target.Dockerfile
awk -v mode=pin -v bases="$work/bases" -f ci/pipeline/dockerfile.awk "$source_dir/$dockerfile" >"$pinned"

# The layers of the base stay as they are: the twin and the nodes share them.
export FF_KANIKO_REPRODUCIBLE_PRESERVE_BASE_LAYERS=true
# shellcheck disable=SC2086 # flags, one a word
/kaniko/executor --context "dir://$(cd "$source_dir" && pwd)" --dockerfile "$pinned" \
  --log-format text --digest-file "$PWD/$work/$target.digest" "$@" ${KANIKO_FLAGS:-}

if [ "$target" = ci ]; then
  read -r digest <"$work/ci.digest" || [ -n "$digest" ]
  echo "BUILDER_IMAGE=$ci_repository@$digest" >"$work/ci-image.env"
  echo "$CI_IMAGE_TAG is $digest"
elif [ "$target" = release ]; then
  echo "BUILT_WITH=$tool_image" >"$work/build.env"
fi
