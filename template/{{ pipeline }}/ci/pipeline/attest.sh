#!/bin/sh
# Signs the release and its twin, by digest, and attests what is in them (SBOM) and how they
# were built (provenance); then verifies all of it as a consumer would. `promote` moves tags
# to the two digests that this leaves in attest.env, and to no others.
. ci/pipeline/common.sh
. ci/pipeline/cosign.sh
. ci/pipeline/provenance.sh

may_publish
rm -f "$work/attest.env"
find_version
check_bases
noted ci-image BUILDER_IMAGE
noted publish RELEASE_DIGEST BUILT_WITH
noted publish-debug DEBUG_DIGEST

# Leaves the digests for `promote`.
let_through() {
  printf '%s\n' "RELEASE_DIGEST=$RELEASE_DIGEST" "DEBUG_DIGEST=$DEBUG_DIGEST" >"$work/attest.env"
}

# ── who signs ──

# A service that was made before releases were signed has no file of keys. From this day on
# its releases stop, too.
unsigned_until=20270701

signing=${SIGNING:-}
[ -n "$signing" ] || [ -z "${COSIGN_PRIVATE_KEY:-}" ] || signing=key
case $signing in
  key)
    need "a variable of the environment signing, see ci/signing/cosign.pub" COSIGN_PRIVATE_KEY
    has_keys ||
      fail "$signing_keys has no public key: commit the one that belongs to COSIGN_PRIVATE_KEY"
    case $COSIGN_PRIVATE_KEY in
      -----BEGIN*) signs_with=env://COSIGN_PRIVATE_KEY ;;
      *://*) signs_with=$COSIGN_PRIVATE_KEY ;;
      *)
        [ -f "$COSIGN_PRIVATE_KEY" ] ||
          fail "COSIGN_PRIVATE_KEY is neither a file, a key nor a KMS URI: want what cosign generate-key-pair writes to cosign.key, as a variable of type file"
        signs_with=$COSIGN_PRIVATE_KEY
        ;;
    esac
    # An empty password would make cosign ask for one.
    export COSIGN_PASSWORD="${COSIGN_PASSWORD:-}"
    ;;
  keyless)
    signer=$builder@$ref
    [ ! -f "$signing_config" ] || [ -f "$trusted_root" ] ||
      fail "$signing_config is there without $trusted_root: cosign trusted-root create writes it"
    ;;
  '')
    if [ "$KIND" = branch ]; then
      echo "unsigned: nothing says how to sign (SIGNING, COSIGN_PRIVATE_KEY); a branch's image may do without"
    elif [ -f "$signing_keys" ]; then
      fail "$SERVICE_VERSION is not signed: set COSIGN_PRIVATE_KEY and COSIGN_PASSWORD for the environment signing, or SIGNING=keyless; $signing_keys says how"
    elif [ "$(printf '%.10s' "$SERVICE_CREATED" | tr -d -)" -ge "$unsigned_until" ]; then
      fail "$SERVICE_VERSION is not signed, which a service of before 0.3.0 could do until $unsigned_until: docs/upgrading-to-0.3.md of the template says what to do"
    else
      echo "WARNING: $SERVICE_VERSION is not signed. From $unsigned_until on this stops a release: docs/upgrading-to-0.3.md of the template says what to do"
    fi
    let_through
    exit
    ;;
  *) fail "SIGNING is \"$signing\": want key or keyless" ;;
esac

# ── what is attested ──

login
take_cosign
case $trigger in
  schedule)
    noted release-source RELEASE_TAG
    source_ref=refs/tags/$RELEASE_TAG
    ;;
  *) source_ref=$ref ;;
esac
noted sbom RELEASE_SBOM_SHA256
noted sbom-debug DEBUG_SBOM_SHA256
same_bytes "$work/release.spdx.json" "$RELEASE_SBOM_SHA256"
same_bytes "$work/debug.spdx.json" "$DEBUG_SBOM_SHA256"

# ── signing ──

# The address of the first service $1 of a Sigstore of one's own.
service() {
  tr -d '[:space:]' <"$signing_config" | sed -n "s/.*\"$1\":\[{\"url\":\"\([^\"]*\)\".*/\1/p"
}

# Runs cosign $1 with the flags of form $2: what cosign 3 writes, a bundle as a referrer,
# and the older .sig and .att, since admission controllers in use read only one of them. A
# key needs no service, so nothing is written to a public log.
write() {
  verb=$1 form=$2
  shift 2
  case $signing.$form in
    key.referrer) set -- --key "$signs_with" --signing-config "$no_services" "$@" ;;
    key.tags) set -- --key "$signs_with" --new-bundle-format=false --use-signing-config=false --tlog-upload=false "$@" ;;
    keyless.tags) set -- --new-bundle-format=false "$@" ;;
  esac
  if [ "$signing" = keyless ]; then
    [ ! -f "$trusted_root" ] || set -- --trusted-root "$trusted_root" "$@"
    case $([ ! -f "$signing_config" ] || echo own).$form in
      own.referrer) set -- --signing-config "$signing_config" "$@" ;;
      # cosign reads no such file for the older form.
      own.tags)
        rekor=$(service rekorTlogUrls) timestamps=$(service tsaUrls)
        if [ -n "$rekor" ]; then set -- --rekor-url "$rekor" "$@"; else set -- --tlog-upload=false "$@"; fi
        [ -z "$timestamps" ] || set -- --timestamp-server-url "$timestamps" "$@"
        set -- --use-signing-config=false --fulcio-url "$(service caUrls)" "$@"
        ;;
      .tags) set -- --use-signing-config=false "$@" ;;
    esac
  fi
  cosign "$verb" --yes "$@" >"$cosign_dir/log" 2>&1 ||
    fail "cannot $verb ${subject#*/}: $(reason "$(cat "$cosign_dir/log")")"
}

# Signs image $2, the target $1, attests what it is, and proves all of that. It runs beside the
# other target's, so what cosign leaves is in a directory of its own.
attest() {
  cosign_dir=$cosign_dir/$1 subject=$IMAGE_REPOSITORY@$2
  mkdir "$cosign_dir"
  export TUF_ROOT="$cosign_dir/tuf"
  provenance "$1" >"$cosign_dir/provenance.json"
  for form in referrer tags; do
    write sign "$form" "$subject"
    write attest "$form" --type spdxjson --predicate "$work/$1.spdx.json" "$subject"
    write attest "$form" --type slsaprovenance1 --predicate "$cosign_dir/provenance.json" "$subject"
  done
  prove "$subject" "$work/$1.spdx.json" "$run_url"
  echo "signed $1 $subject"
}

# Where a registry keeps an index of what belongs to a digest, that is read, changed and
# written: only what belongs to different digests may run at once.
attest release "$RELEASE_DIGEST" >"$cosign_dir/release.log" 2>&1 &
release_attested=$!
attest debug "$DEBUG_DIGEST" >"$cosign_dir/debug.log" 2>&1 &
debug_attested=$!
failed=''
wait "$debug_attested" || failed=debug
wait "$release_attested" || failed=release
if [ -n "$failed" ]; then
  cat "$cosign_dir/$failed.log" >&2
  exit 1
fi
cat "$cosign_dir/release.log" "$cosign_dir/debug.log"
let_through
