# shellcheck shell=sh disable=SC2016,SC2154
# Nothing of this stays: the variables end with the step, and so does the directory.
house_work=$(mktemp -d) && chmod 755 "$house_work" || exit
trap 'rm -rf "$house_work"' EXIT

house_host() {
  printf '%s\n' "$1" | sed 's#^[a-z]*://##; s#[:/].*##'
}

# What the netrc (machine HOST login USER password PASSWORD) says of the host of address $1.
house_secret() {
  [ ! -f /run/secrets/packages ] ||
    tr -s '[:space:]' '\n' </run/secrets/packages | awk -v host="$(house_host "$1")" -v wanted="$2" '
    NR % 2 { key = $0; next }
    key == "machine" { ours = $0 == host }
    ours && key == wanted { print; exit }'
}

# HTTP's basic authentication for address $1, nothing where the netrc does not know it.
house_basic() {
  house_login=$(house_secret "$1" login)
  [ -z "$house_login" ] ||
    printf '%s:%s' "$house_login" "$(house_secret "$1" password)" | base64 | tr -d '\n'
}

export NETRC=/run/secrets/packages # Go, pip and uv
for house_address in $house_apt $house_go $house_rust $house_java $house_python $house_node; do
  [ -n "$(house_secret "$house_address" login)" ] || house_host "$house_address"
done | sort -u | while read -r house_host; do
  echo "packages.sh: the secret \"packages\" has no login for $house_host: asking without one" >&2
done

if [ -n "$house_proxy" ]; then
  export http_proxy="$house_proxy" https_proxy="$house_proxy" no_proxy="$house_no_proxy"
  export HTTP_PROXY="$house_proxy" HTTPS_PROXY="$house_proxy" NO_PROXY="$house_no_proxy"
fi

# The authorities of the image and the house's.
house_bundle=$house_work/bundle.pem
if [ -f /opt/house/authority.pem ]; then
  for house_file in /etc/ssl/certs/ca-certificates.crt /opt/house/authority.pem; do
    [ ! -f "$house_file" ] || cat "$house_file"
  done >"$house_bundle"
  export SSL_CERT_FILE="$house_bundle" PIP_CERT="$house_bundle" \
    CARGO_HTTP_CAINFO="$house_bundle" npm_config_cafile="$house_bundle" \
    CURL_CA_BUNDLE="$house_bundle" WGETRC="$house_work/wgetrc"
  echo "ca_certificate = $house_bundle" >"$WGETRC"
fi

# apt: the image's own sources, from the house's mirror.
mkdir "$house_work/sources"
{
  if [ -f "$house_bundle" ]; then
    echo "Acquire::https::CAInfo \"$house_bundle\";"
  fi
  if [ -n "$house_apt" ]; then
    for house_file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
      [ ! -f "$house_file" ] || sed -E "s#https?://[^/ ]+#$house_apt#" "$house_file" \
        >"$house_work/sources/${house_file##*/}"
    done
    echo "Dir::Etc::sourcelist \"/dev/null\";"
    echo "Dir::Etc::sourceparts \"$house_work/sources\";"
    echo "Dir::Etc::netrc \"/run/secrets/packages\";"
  fi
} >"$house_work/apt.conf"
export APT_CONFIG="$house_work/apt.conf"

if [ -n "$house_go" ]; then
  export GOPROXY="$house_go"
fi

if [ -n "$house_python" ]; then
  export PIP_INDEX_URL="$house_python" PIP_NO_INPUT=1 UV_DEFAULT_INDEX="$house_python"
fi

if [ -n "$house_rustup" ]; then
  export RUSTUP_DIST_SERVER="$house_rustup"
fi
if [ -n "$house_rust" ]; then
  house_auth=$(house_basic "$house_rust")
  [ -z "$house_auth" ] || export CARGO_REGISTRIES_HOUSE_TOKEN="Basic $house_auth"
fi

if [ -n "$house_node" ]; then
  HOUSE_NPM_AUTH=$(house_basic "$house_node")
  export HOUSE_NPM_AUTH npm_config_registry="$house_node" npm_config_userconfig="$house_work/npmrc"
  [ -z "$HOUSE_NPM_AUTH" ] || # npm puts the variable in
    printf '%s:_auth=${HOUSE_NPM_AUTH}\n' "${house_node#https:}" >"$npm_config_userconfig"
fi

# Java reads neither a bundle nor the variables of a proxy.
if command -v keytool >/dev/null; then
  JAVA_TOOL_OPTIONS=''
  if [ -f "$house_bundle" ]; then
    cp -L "$(dirname "$(dirname "$(readlink -f "$(command -v keytool)")")")/lib/security/cacerts" \
      "$house_work/cacerts" && chmod 644 "$house_work/cacerts"
    awk -v to="$house_work/authority-" '
      /BEGIN CERTIFICATE/ { file = to (++count) }
      file { print > file }
      /END CERTIFICATE/ { close(file); file = "" }' /opt/house/authority.pem
    for house_file in "$house_work"/authority-*; do
      # The password that every JDK gives this file: it has no secret in it.
      keytool -importcert -noprompt -keystore "$house_work/cacerts" -storepass changeit \
        -alias "house-${house_file##*-}" -file "$house_file" 2>"$house_work/keytool" ||
        cat "$house_work/keytool" >&2
    done
    JAVA_TOOL_OPTIONS="-Djavax.net.ssl.trustStore=$house_work/cacerts -Djavax.net.ssl.trustStorePassword=changeit"
  fi
  if [ -n "$house_proxy" ]; then
    JAVA_TOOL_OPTIONS="$JAVA_TOOL_OPTIONS -Dhttps.proxyHost=$house_proxy_host -Dhttps.proxyPort=$house_proxy_port"
    JAVA_TOOL_OPTIONS="$JAVA_TOOL_OPTIONS -Dhttp.nonProxyHosts=$house_java_no_proxy"
  fi
  export JAVA_TOOL_OPTIONS
  # For the wrapper's download of Maven, and for Maven: its settings put the variables in.
  MVNW_USERNAME=$(house_secret "$house_java" login)
  MVNW_PASSWORD=$(house_secret "$house_java" password)
  HOUSE_LOGIN=$MVNW_USERNAME HOUSE_PASSWORD=$MVNW_PASSWORD
  export MVNW_USERNAME MVNW_PASSWORD HOUSE_LOGIN HOUSE_PASSWORD
  {
    echo '<settings>'
    [ -z "$house_proxy" ] ||
      printf '<proxies><proxy><id>house</id><protocol>http</protocol><host>%s</host><port>%s</port><nonProxyHosts>%s</nonProxyHosts></proxy></proxies>\n' \
        "$house_proxy_host" "$house_proxy_port" "$house_java_no_proxy"
    # With this id the jobs, which know no mirror, find what comes from here.
    [ -z "$house_java" ] ||
      printf '<mirrors><mirror><id>central</id><mirrorOf>*</mirrorOf><url>%s</url></mirror></mirrors>\n' "$house_java"
    [ -z "$HOUSE_LOGIN" ] ||
      echo '<servers><server><id>central</id><username>${env.HOUSE_LOGIN}</username><password>${env.HOUSE_PASSWORD}</password></server></servers>'
    echo '</settings>'
  } >"$house_work/settings.xml"
  export MAVEN_ARGS="--settings $house_work/settings.xml"
fi
