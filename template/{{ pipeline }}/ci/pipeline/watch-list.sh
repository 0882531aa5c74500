#!/bin/sh
# Takes what is in the newest release, and in each tag of DEPLOYED, from the attestations of its
# digest. Leaves in .pipeline/watch a list TAG.spdx.json, its bases as lines "IMAGE DIGEST
# TODAYS" in TAG.bases, and the tags in `tags`.
. ci/pipeline/common.sh
. ci/pipeline/cosign.sh

need "it is in $settings" IMAGE_REPOSITORY
login
tags=$(crane ls "$IMAGE_REPOSITORY") || fail "cannot list the tags of $IMAGE_REPOSITORY: see the lines above"
newest=$(printf '%s\n' "$tags" | newest_version)
[ -n "$newest" ] ||
  fail "nothing to watch: $IMAGE_REPOSITORY has no tag such as 1.4.2; release first, or stop the schedule"
take_cosign
trust "$builder" "${ref#refs/}"

# Leaves the newest statement of type $2 on image $1 in $statement.
attested() {
  statement=''
  for form in referrer tags; do
    if verified verify-attestation "$1" "$form" --type "$2"; then
      statement=$(statements | tail -n 1)
      return
    fi
  done
}

rm -rf "$work/watch"
mkdir "$work/watch"
for tag in $(printf '%s %s\n' "$newest" "${DEPLOYED:-}" | tr ', ' '\n' | sort -u); do
  check SERVICE_VERSION "$tag" "DEPLOYED wants tags, such as 1.4.2-b318"
  digest=$(published "$IMAGE_REPOSITORY:$tag") || exit 1
  [ -n "$digest" ] || fail "$IMAGE_REPOSITORY:$tag is not there: DEPLOYED names it"
  list=$work/watch/$tag
  echo "$tag" >>"$work/watch/tags"
  : >"$list.bases"
  attested "$IMAGE_REPOSITORY@$digest" spdxjson
  if [ -z "$statement" ]; then
    echo "$tag has no list of what is in it, by $(signers): $(reason "$(cat "$cosign_dir/log")")"
    continue
  fi
  printf '%s\n' "$statement" | awk '{ sub(/.*"predicate": *\{/, "{"); sub(/\}[ \n]*$/, ""); print }' >"$list.spdx.json"
  attested "$IMAGE_REPOSITORY@$digest" slsaprovenance1
  [ -n "$statement" ] ||
    fail "$tag has no provenance by $(signers): $(reason "$(cat "$cosign_dir/log")")"
  # What the image has from others: its base, and what the CI image was made of. cosign prints
  # the members in any order, without an empty name, and some builds of it with spaces.
  printf '%s\n' "$statement" |
    sed 's/\([,:]\) */\1/g; s/"digest":{"sha256":"\([0-9a-f]*\)"}/"sha256":"\1"/g' |
    grep -o '{[^{}]*"uri":"docker://[^{}]*}' |
    awk '
      function value(member) {
        if (!match($0, "\"" member "\":\"[^\"]*\"")) return ""
        return substr($0, RSTART + length(member) + 4, RLENGTH - length(member) - 5)
      }
      { print value("name") "," substr(value("uri"), length("docker://") + 1) "," value("sha256") }' |
    sort -u >"$cosign_dir/bases"
  [ -s "$cosign_dir/bases" ] || fail "the provenance of $tag names no image that it was made of"
  while IFS=, read -r argument image old; do
    case $argument in '' | RELEASE_IMAGE) ;; *) continue ;; esac
    today=$(digest_of "$image" 2>"$cosign_dir/log" </dev/null) ||
      fail "cannot resolve the image $image: $(tail -n 1 "$cosign_dir/log")"
    echo "$image sha256:$old $today" >>"$list.bases"
  done <"$cosign_dir/bases"
  echo "$tag is $digest"
done
