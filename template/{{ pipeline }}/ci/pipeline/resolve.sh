#!/bin/sh
# Resolves every base image to a digest, once for the whole pipeline, and
# finds out which CI image the inputs ask for and whether the registry has it.
# Leaves the bases in .pipeline/bases, as lines "ARGUMENT IMAGE DIGEST".
. ci/pipeline/common.sh

need "it is in $settings" IMAGE_REPOSITORY CI_IMAGE_REPOSITORY
case ${BUILD_NUMBER_OFFSET:-0} in
  *[!0-9]*) fail "BUILD_NUMBER_OFFSET is \"$BUILD_NUMBER_OFFSET\": want the number of the last build, such as 1234" ;;
esac
need "the provider sets it" git_revision short_revision pipeline_number pipeline_time
for name in IMAGE_REPOSITORY CI_IMAGE_REPOSITORY; do
  eval "check $name \"\$$name\" 'want a registry and a path in lower case, without a scheme or a tag'"
done
find_source
login

# ── the version ──

revision=$git_revision
case $trigger in
  schedule)
    tag=$RELEASE_TAG
    revision=$RELEASE_REVISION
    ;;
  tag) tag=$git_tag ;;
  *) tag='' ;;
esac
if [ -n "$tag" ]; then
  version=${tag#v}
  [ "${#version}" -le 100 ] || fail "the git tag $tag is too long for a version: want 100 characters or less"
  printf '%s\n' "$version" | grep -Eq '^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$' ||
    fail "the git tag $tag is no version: want one such as v1.4.2 or v1.4.2-rc.1, without a +"
  if printf '%s\n' "$version" | grep -Eq -e '-(b[0-9]+|debug)$|-b[0-9]+-debug$'; then
    fail "the git tag $tag ends like a build or a debug image: want one such as v1.4.2 or v1.4.2-rc.1"
  fi
  kind=release
else
  need "the provider sets it for a branch" branch_name
  version=$branch_name-$short_revision
  kind=$trigger
fi
echo "building $version from $revision"

# ── the bases ──

: >"$work/bases"
# resolve DOCKERFILE: adds its images to .pipeline/bases.
resolve() {
  [ -f "$source_dir/$1" ] || fail "$1 is missing"
  awk -v mode=list -f ci/pipeline/dockerfile.awk "$source_dir/$1" >"$work/images"
  while read -r argument image; do
    # The CI image takes the builder's place, and has a builder of its own.
    [ "$argument" != BUILDER_IMAGE ] || continue
    grep -q "^$argument $image " "$work/bases" && continue
    digest=$(digest_of "$image" 2>"$work/reason" </dev/null) ||
      fail "$1: cannot resolve the image $image: $(tail -n 1 "$work/reason")"
    echo "$argument $image $digest" >>"$work/bases"
    echo "base $image is $digest"
  done <"$work/images"
  rm -f "$work/images" "$work/reason"
}
resolve ci/image/Dockerfile
resolve image/Dockerfile

base=$(awk '$1 == "RELEASE_IMAGE" { print $2, $3 }' "$work/bases")
base_name=${base% *}
base_digest=${base#* }
case $base_name in *@*) base_name=${base_name%@*} ;; esac
if [ -z "$base" ]; then
  ! grep -q '^ARG .*RELEASE_IMAGE' "$source_dir/image/Dockerfile" ||
    fail "image/Dockerfile: ARG RELEASE_IMAGE names no image; give it the base as its default"
  base_name=scratch
  base_digest=''
fi

# ── the CI image: named by the hash of what goes into it ──

inputs=$(awk -v mode=inputs -f ci/pipeline/dockerfile.awk "$source_dir/ci/image/Dockerfile")
paths=$(
  cd "$source_dir"
  for input in $inputs; do # expands patterns, as COPY does
    [ -e "$input" ] || fail "ci/image/Dockerfile copies $input, which is missing"
    find "$input" -type f
  done
  [ ! -f .dockerignore ] || echo .dockerignore
) || exit 1
hash=$(
  {
    awk -v mode=pin -v bases="$work/bases" -f ci/pipeline/dockerfile.awk "$source_dir/ci/image/Dockerfile"
    cd "$source_dir"
    printf '%s\n' "$paths" | sort -u | while read -r path; do [ -z "$path" ] || sha256sum "$path"; done
  } | sha256sum | cut -c 1-40
)
ci_repository=$(ci_repository)
ci_image=$ci_repository:$hash
ci_to='registry'
if [ -n "$fork" ] || { [ "$trigger" = request ] && [ -n "$project_image$loads_files" ] && ! has_credentials "$ci_repository"; }; then
  # It has no right to push there, or its variables are protected: what is missing goes into
  # a file for the later jobs, or into the registry of its own project.
  ci_digest=$(published "$ci_image" readable) || exit 1
  if [ -z "$ci_digest" ] && [ -n "$loads_files" ]; then
    ci_to='file'
  elif [ -z "$ci_digest" ]; then
    [ "$provider" = gitlab ] ||
      fail "$ci_image is not there for $request_name that may not push it, and with containers: true no job loads it from a file"
    [ -n "$project_image" ] ||
      fail "$ci_image is not there for a fork, and this project has no registry to build it into: turn on its container registry"
    ci_image=$project_image/ci:$hash
  fi
fi
[ "$ci_to" = file ] || ci_digest=${ci_digest:-$(published "$ci_image")} || exit 1
if [ -n "$ci_digest" ]; then
  echo "CI image $ci_image is there"
else
  echo "CI image $ci_image is missing and will be built"
fi

# ── what a rebuild changes ──

# The packages of a Debian image, one "name version" a line.
packages() {
  crane export --platform linux/amd64 "$(mirrored "$1")" - 2>/dev/null |
    tar -x -O -f - var/lib/dpkg/status.d 2>/dev/null |
    awk '/^Package: / { name = $2 } /^Version: / { print name, $2 }' | sort
}

if [ "$trigger" = schedule ]; then
  old=$(crane config "$IMAGE_REPOSITORY:$version" 2>/dev/null |
    sed -n 's/.*"org\.opencontainers\.image\.base\.digest":"\(sha256:[0-9a-f]*\)".*/\1/p')
  if [ -z "$old" ]; then
    echo "rebuild: $IMAGE_REPOSITORY:$version has no base to compare with"
  elif [ "$old" = "$base_digest" ]; then
    echo "rebuild: the base $base_name has not changed since $version was built"
  else
    echo "rebuild: the base $base_name has changed from $old to $base_digest"
    packages "$base_name@$old" >"$work/old" || true
    packages "$base_name@$base_digest" >"$work/new" || true
    if [ -s "$work/old" ] && [ -s "$work/new" ]; then
      awk '
        FNR == NR { old[$1] = $2; next }
        !($1 in old) { print "rebuild:   " $1 " " $2 " is new" }
        $1 in old && old[$1] != $2 { print "rebuild:   " $1 " " old[$1] " is now " $2 }
        { delete old[$1] }
        END { for (name in old) print "rebuild:   " name " " old[name] " is gone" }
      ' "$work/old" "$work/new"
    else
      echo "rebuild: the packages of the two cannot be compared"
    fi
    rm -f "$work/old" "$work/new"
  fi
fi

{
  echo "KIND=$kind"
  echo "SERVICE_VERSION=$version"
  echo "SERVICE_REVISION=$revision"
  echo "SERVICE_CREATED=$pipeline_time"
  echo "BUILD=$pipeline_number"
  echo "BASE_NAME=$base_name"
  echo "BASE_DIGEST=$base_digest"
  echo "CI_IMAGE_TAG=$ci_image"
  echo "CI_IMAGE_DIGEST=$ci_digest"
  echo "CI_IMAGE_TO=$ci_to"
  # For the team's jobs: the platform's find it by themselves.
  echo "SOURCE_DIR=$source_dir"
} >"$work/resolve.env"
