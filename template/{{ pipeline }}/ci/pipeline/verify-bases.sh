#!/bin/sh
# Verifies that each base, and the Kaniko that builds on them, was signed by whom the table of
# bases says signs it, by digest. What the table does not know, or calls unsigned, is said in
# the log.
. ci/pipeline/common.sh
. ci/pipeline/cosign.sh

find_version
check_bases
case ${BASE_VERIFICATION:-on} in
  on) ;;
  off)
    echo "BASE_VERIFICATION is off: nobody asked who signed the bases; the job verify wants a record for that (PIP-014)"
    exit
    ;;
  *) fail "BASE_VERIFICATION is \"$BASE_VERIFICATION\": want on or off" ;;
esac

# The team's Kaniko, or else the platform's. A copy on another host is the same image.
kaniko=$(sed 's/^ *#.*//' "$settings" "$pins" |
  grep -o 'osscontainertools/kaniko:[^"@ ]*@sha256:[0-9a-f]\{64\}' | head -n 1)
[ -n "$kaniko" ] || fail "$pins names no image osscontainertools/kaniko with its digest: make update restores it"

# Leaves who signs the images of repository $1 in $identity and $issuer, or in $key.
find_signer() {
  identity='' issuer='' key=''
  while IFS='=' read -r field value; do
    case $field in
      identity) identity=$value ;;
      issuer) issuer=$value ;;
      key) key=$value ;;
    esac
  done <<SIGNER
$(awk -v repository="$1" '
    /^\[\[/ { signer = $0 == "[[signer]]"; wanted = 0 }
    signer && match($0, /^[a-z]+ = "/) {
      name = substr($0, 1, RLENGTH - 4)
      value = substr($0, RLENGTH + 1, length($0) - RLENGTH - 1)
      if (name == "repository") wanted = value == repository
      else if (wanted) print name "=" value
    }
  ' ci/house/house.toml)
SIGNER
}

login
taken=''
while read -r what image digest; do
  [ "$what" = Kaniko ] || what=base
  name=${image%@*}
  # A colon after the last slash begins a tag.
  case ${name##*/} in *:*) name=${name%:*} ;; esac
  find_signer "$name"
  if [ -z "$identity$key" ]; then
    echo "$what $image@$digest is unsigned, or nobody knows by whom: ci/house/house.toml names no signer for $name"
    continue
  fi
  [ -n "$taken" ] || take_cosign
  taken=true
  if [ -n "$key" ]; then
    who=$key
    set -- --key "$key" --insecure-ignore-tlog=true
  else
    who="$identity ($issuer)"
    case $identity in
      *'*'*) set -- --certificate-identity-regexp "^$(pattern "$identity")\$" ;;
      *) set -- --certificate-identity "$identity" ;;
    esac
    set -- "$@" --certificate-oidc-issuer "$issuer"
    [ ! -f "$trusted_root" ] || set -- "$@" --trusted-root "$trusted_root"
  fi
  signed=''
  for form in false true; do
    ! cosign verify "$@" --new-bundle-format="$form" "$(mirrored "$name@$digest")" \
      >/dev/null 2>"$cosign_dir/log" </dev/null || signed=true
    [ -z "$signed" ] || break
  done
  [ -n "$signed" ] ||
    fail "the $what $name@$digest is not signed by $who: $(reason "$(cat "$cosign_dir/log")")"
  echo "$what $name@$digest is signed by $who"
done <<IMAGES
$(cat "$work/bases")
Kaniko ghcr.io/${kaniko%@*} ${kaniko#*@}
IMAGES
