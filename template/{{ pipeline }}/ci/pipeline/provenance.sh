# The provenance of an image: an SLSA v1 predicate, made of what the jobs have noted.
# shellcheck shell=sh
# shellcheck disable=SC2154 # the scripts that read this set them

# $1 as a string of JSON.
quoted() {
  printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"
}

# An image $2 with the digest $3, which the build knows as $1.
dependency() {
  printf '{"name":%s,"uri":%s,"digest":{"sha256":"%s"}}' \
    "$(quoted "$1")" "$(quoted "docker://$2")" "${3#sha256:}"
}

# The predicate of target $1, release or debug. $source_ref is what was built, in git.
provenance() {
  arguments=$(build_arguments "$1" | while read -r argument; do
    printf '%s%s:%s' "${separator:-}" "$(quoted "${argument%%=*}")" "$(quoted "${argument#*=}")"
    separator=,
  done)
  dependencies=$(
    printf '{"name":"source","uri":%s,"digest":{"gitCommit":"%s"}}' \
      "$(quoted "git+$project_url@$source_ref")" "$SERVICE_REVISION"
    while read -r argument image digest; do
      printf ',%s' "$(dependency "${argument#-}" "${image%@*}" "$digest")"
    done <"$work/bases"
    [ "$CI_IMAGE_TO" = file ] ||
      printf ',%s' "$(dependency BUILDER_IMAGE "${BUILDER_IMAGE%@*}" "${BUILDER_IMAGE#*@}")"
    [ "$1" = release ] || printf ',%s' "$(dependency DEBUG_FROM "$IMAGE_REPOSITORY" "$RELEASE_DIGEST")"
  )
  tools=''
  case $BUILT_WITH in
    *@*) tools=",\"builderDependencies\":[$(dependency kaniko "${BUILT_WITH%@*}" "${BUILT_WITH#*@}")]" ;;
  esac
  twin=''
  [ "$1" = debug ] || twin=",\"byproducts\":[$(dependency twin "$IMAGE_REPOSITORY" "$DEBUG_DIGEST")]"
  cat <<JSON
{"buildDefinition":{
"buildType":"urn:copier-service:kaniko-pipeline:v1",
"externalParameters":{"source":$(quoted "git+$project_url@$source_ref"),"dockerfile":"image/Dockerfile","target":"$1","buildArguments":{$arguments}},
"internalParameters":{"trigger":"$trigger","build":"$BUILD"},
"resolvedDependencies":[$dependencies]},
"runDetails":{
"builder":{"id":$(quoted "$builder")$tools},
"metadata":{"invocationId":$(quoted "$run_url"),"startedOn":"$SERVICE_CREATED"}$twin}}
JSON
}
