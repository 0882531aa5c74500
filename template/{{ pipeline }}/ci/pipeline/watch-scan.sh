#!/bin/sh
# Looks for known flaws in the lists that watch-list.sh has left, and where a base has changed
# since also in today's bases and builders. No image of the service is pulled.
. ci/pipeline/common.sh
. ci/pipeline/grype.sh

need "it is in $settings" IMAGE_REPOSITORY
[ -s "$work/watch/tags" ] || fail "$work/watch/tags is missing, which the job watch-list leaves: start a new pipeline"
login
take_database
while read -r tag; do
  list=$work/watch/$tag
  [ -f "$list.spdx.json" ] || continue
  look_for_flaws "sbom:$PWD/$list.spdx.json" "$list.scan.json"
  [ -n "$(awk '$2 != $3' "$list.bases")" ] || continue
  number=0
  while read -r image _ today; do
    number=$((number + 1))
    image=$(mirrored "${image%:*}")
    export GRYPE_REGISTRY_INSECURE_USE_HTTP=false
    ! without_tls "$image" || export GRYPE_REGISTRY_INSECURE_USE_HTTP=true
    look_for_flaws "registry:$image@$today" "$list.base-$number.json" </dev/null
  done <"$list.bases"
done <"$work/watch/tags"
