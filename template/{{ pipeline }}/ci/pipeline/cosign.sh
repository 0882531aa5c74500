# cosign, for the jobs that sign and that verify. They run in crane's image, which has a
# shell, and take the program from cosign's own, by digest.
# shellcheck shell=sh
# shellcheck disable=SC2154 # the scripts that read this set them

# Pinned here and nowhere else. A mirror is REGISTRY_MAP: another host, the same digest.
cosign_image=ghcr.io/sigstore/cosign/cosign:v3.1.3@sha256:9e5c2f2edc34351160407ca3416c61855bdf9403c3c5936e0f0be7fc261611b8

# The public keys of the service, one after the other; Sigstore's trusted root, where that is
# not to be had or the service has a Sigstore of its own; and what that is made of. All are the
# checkout's, also in a rebuild.
signing_keys=ci/signing/cosign.pub
trusted_root=ci/signing/trusted-root.json
signing_config=ci/signing/signing-config.json

# Leaves the program cosign in a directory of its own, $cosign_dir.
take_cosign() {
  cosign_dir=$(umask 077 && mktemp -d)
  trap 'rm -rf "$cosign_dir"' EXIT
  trap 'exit 1' HUP INT TERM
  case $(uname -m) in aarch64 | arm64) architecture=arm64 ;; *) architecture=amd64 ;; esac
  crane export --platform "linux/$architecture" "$(mirrored "$cosign_image")" "$cosign_dir/image.tar" ||
    fail "cannot take cosign from $(mirrored "$cosign_image"): see the lines above"
  tar -x -f "$cosign_dir/image.tar" -C "$cosign_dir" 2>"$cosign_dir/tar.log" ||
    fail "cannot unpack $cosign_image: $(tail -n 1 "$cosign_dir/tar.log")"
  rm -f "$cosign_dir/image.tar"
  # It keeps what it loads of Sigstore here.
  export TUF_ROOT="$cosign_dir/tuf"
  cosign_program=$cosign_dir/ko-app/cosign no_services=$cosign_dir/no-services.json
  echo '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}' >"$no_services"
}

# cosign, told of the registries that have no TLS.
cosign() {
  plain=''
  ! without_tls "$@" || plain=--allow-http-registry
  "$cosign_program" "$@" ${plain:+"$plain"}
}

# Whether the list of keys has one.
has_keys() {
  grep -q '^-----BEGIN PUBLIC KEY-----' "$signing_keys" 2>/dev/null
}

# An identity as a regular expression. In the table of bases * stands for a release's tag.
pattern() {
  printf '%s' "$1" | sed 's/[.+]/\\&/g; s/\*/[^\/@]*/g'
}

# Whom a consumer trusts: the service's keys, or where it has none the workflow $1, for a
# release's tag and for the branch $2, on which a schedule rebuilds it.
trust() {
  if has_keys; then
    signing=key
    split_keys
  else
    signing=keyless
    identity_is=--certificate-identity-regexp
    signer="^$(pattern "$1")@refs/(tags/v?[0-9][0-9A-Za-z.-]*|$2)\$"
  fi
}

# Writes each key of the list $signing_keys to a file of its own: $cosign_dir/key-N.pub.
split_keys() {
  awk -v name="$cosign_dir/key-" '
    /^-----BEGIN PUBLIC KEY-----/ { number++; inside = 1 }
    inside { print >(name number ".pub") }
    /^-----END PUBLIC KEY-----/ { inside = 0 }
  ' "$signing_keys"
}

# Runs cosign $1, verify or verify-attestation, on image $2 in form $3 with each of the
# service's keys, until one fits, or for the identity $signer; leaves what it prints in
# $cosign_dir/proof.
verified() {
  verb=$1 of=$2 form=$3
  shift 3
  [ "$form" = referrer ] || set -- --new-bundle-format=false "$@"
  if [ "$signing" = keyless ]; then
    [ ! -f "$trusted_root" ] || set -- --trusted-root "$trusted_root" "$@"
    # A Sigstore of one's own has what its files name.
    if [ -f "$signing_config" ]; then
      grep -q '"rekorTlogUrls"' "$signing_config" || set -- --insecure-ignore-tlog=true "$@"
      ! grep -q '"tsaUrls"' "$signing_config" || set -- --use-signed-timestamps=true "$@"
      grep -q '"ctlogs"' "$trusted_root" || set -- --insecure-ignore-sct=true "$@"
    fi
    cosign "$verb" "${identity_is:---certificate-identity}" "$signer" --certificate-oidc-issuer "$token_issuer" \
      "$@" "$of" >"$cosign_dir/proof" 2>"$cosign_dir/log"
    return
  fi
  for key in "$cosign_dir"/key-*.pub; do
    # Nothing that a key has signed is in a public log.
    ! cosign "$verb" --key "$key" --insecure-ignore-tlog=true "$@" "$of" \
      >"$cosign_dir/proof" 2>"$cosign_dir/log" || return 0
  done
  return 1
}

# Who signs, for a message.
signers() {
  if [ "$signing" = keyless ]; then echo "$signer"; else echo "a key of $signing_keys"; fi
}

# Stops unless image $1 is signed, in both forms, and has the SBOM in file $2 and the provenance
# of run $3, all by a key or an identity that the service knows.
prove() {
  [ "$signing" = keyless ] || split_keys
  sbom=$(sed -n 's/.*"documentNamespace" *: *\("[^"]*"\).*/\1/p' "$2" | head -n 1)
  [ -n "$sbom" ] || fail "$2 is no SPDX document: it has no documentNamespace"
  for form in referrer tags; do
    # Any bundle will do for cosign verify, an SBOM's, too.
    case $form in
      referrer) verified verify-attestation "$1" referrer --type https://sigstore.dev/cosign/sign/v1 ;;
      tags) verified verify "$1" tags ;;
    esac ||
      fail "$1 has no signature ($form) by $(signers): $(reason "$(cat "$cosign_dir/log")")"
    for wanted in "spdxjson $sbom" "slsaprovenance1 $(quoted "$3")"; do
      verified verify-attestation "$1" "$form" --type "${wanted%% *}" ||
        fail "$1 has no ${wanted%% *} ($form) by $(signers): $(reason "$(cat "$cosign_dir/log")")"
      statements | grep -Fq -e "${wanted#* }" ||
        fail "$1 has another ${wanted%% *} ($form) than this pipeline's, which is ${wanted#* }"
    done
  done
}

# The statements of the attestations in $cosign_dir/proof, one a line.
statements() {
  sed -n 's/.*"payload":"\([^"]*\)".*/\1/p' "$cosign_dir/proof" | while read -r payload; do
    printf '%s' "$payload" | base64 -d
    echo
  done
}
