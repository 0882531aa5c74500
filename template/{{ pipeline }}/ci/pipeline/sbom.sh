#!/bin/sh
# Writes what .pipeline/release.tar, or .pipeline/debug.tar as its twin, is made of: in SPDX, the
# release's in CycloneDX as well. Notes the sum of the first, so that no other can be attested.
. ci/pipeline/common.sh

target=${1:-}
find_source
find_version
need "it is in $settings" IMAGE_REPOSITORY
top=$PWD
file=$top/$work/$target.tar
case $target in
  release)
    noted verify-release RELEASE_SHA256
    same_bytes "$file" "$RELEASE_SHA256"
    job=sbom
    formats='spdx-json:spdx cyclonedx-json:cdx'
    ;;
  debug)
    noted verify-debug DEBUG_SHA256
    same_bytes "$file" "$DEBUG_SHA256"
    job=sbom-debug
    formats='spdx-json:spdx'
    ;;
  *) fail "usage: sbom.sh release|debug" ;;
esac

# Syft, which lies at the top of its image. It writes to $1.spdx.json and $1.cdx.json; more
# arguments say what it reads. Outside the checkout it finds no settings that leave things out.
list() {
  to=$1
  shift
  for format in $formats; do
    set -- "$@" --output "${format%:*}=$to.${format#*:}.json"
  done
  (
    cd "$scratch" || exit
    PATH=$PATH:/ SYFT_CHECK_FOR_APP_UPDATE=false SYFT_FORMAT_PRETTY=true \
      SYFT_FILE_METADATA_SELECTION=none syft scan --quiet "$@"
  ) || fail "cannot list what is in $file: see the lines above"
}

# Says whether the image has Debian packages as distroless has them.
has_debian_packages() {
  tar -t -f "$file" | sed '/\.json$/d' >"$scratch/layers"
  while read -r layer; do
    tar -x -O -f "$file" "$layer" >"$scratch/layer"
    { gzip -d -c <"$scratch/layer" 2>/dev/null || cat "$scratch/layer"; } | tar -t -f - 2>/dev/null |
      grep -q '^\(\./\)\{0,1\}var/lib/dpkg/status\.d/.' && return
  done <"$scratch/layers"
  return 1
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
list "$top/$work/$target" "docker-archive:$file" \
  --source-name "$IMAGE_REPOSITORY" --source-version "$SERVICE_VERSION"
if ! grep -q pkg:deb/ "$work/$target.spdx.json" && has_debian_packages; then
  fail "$work/$target.tar has Debian packages in var/lib/dpkg/status.d, and the list has none of them: the base's layers want entries for the directories above, too"
fi

# A stripped Rust program names none of its crates.
if [ -f "$source_dir/Cargo.lock" ]; then
  list "$scratch/lock" "file:$top/$source_dir/Cargo.lock"
  for format in $formats; do
    name=${format#*:}.json
    awk -f ci/pipeline/sbom.awk "$scratch/lock.$name" "$work/$target.$name" "$work/$target.$name" >"$scratch/$name"
    cat "$scratch/$name" >"$work/$target.$name"
  done
fi

sum=$(sha256sum "$work/$target.spdx.json" | cut -d ' ' -f 1)
echo "$(printf '%s' "$target" | tr '[:lower:]' '[:upper:]')_SBOM_SHA256=$sum" >"$work/$job.env"
echo "$work/$target.spdx.json names $(grep '"referenceLocator": "pkg:' "$work/$target.spdx.json" | grep -vc pkg:oci/) packages"
