"""Secrets, told from names and content. No finding ever repeats a secret."""

from __future__ import annotations

import re

# Here and below no repetition goes over many lines: a text of blank lines takes no longer than another.
_LINE_END = rb"(?:\r?\n|(?:\\{1,3}r)?\\{1,3}n)"  # as it is, or escaped in a string of JSON
_PRIVATE_KEY = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----[ \t]*%(end)s"
    rb"(?:[ \t]*[A-Za-z-]+:[^\n\\]*%(end)s){0,6}"  # Proc-Type, Comment and the like
    rb"(?:[ \t]|%(end)s){0,64}[A-Za-z0-9+/=]{16}" % {b"end": _LINE_END}
)
_URL_PASSWORD = re.compile(r"://[^/\s:@'\"]{1,200}:[^/\s@'\"${}]{1,200}@")
_ENV_ASSIGNMENT = re.compile(rb"^[ \t]*(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=\s*\S", re.MULTILINE)
_SECRET_NAME = re.compile(
    r"(?:(?:^|[_.-])(?:SECRET|SECRETS|TOKEN|AUTHTOKEN|API_?KEY|ACCESS_?KEY|SECRET_?KEY|PRIVATE_?KEY|CREDENTIALS?)"
    r"|PASSWORD|PASSWD|PASSPHRASE)(?:$|[_.-])"  # what is glued to these is whose it is: PGPASSWORD
    r"|[_.-](?:PWD|PASS)$|^(?:SSHPASS|REDISCLI_AUTH)$",
    re.IGNORECASE,
)
# What stands in the place of a value: another variable, a command, a path, a switch, a time, a form to fill in.
_NO_VALUE = re.compile(
    r"\$.*|`.*|(?:~|\.{1,2})?/[\w./~-]*|true|false|yes|no|on|off|none|null|\d{1,5}(?:ms|s|m|h|d)?|<.*>|\{\{.*|%\w+%|\*+",
    re.IGNORECASE | re.DOTALL,
)
# What is told about a secret is none: where it is, who gives it, how long it lives.
_POINTER_NAME = re.compile(
    r"(?:FILE|PATH|DIR|URL|URI|NAME|TTL|EXPIRY|ENABLED|HEADER|TYPE"
    r"|[_.-](?:ID|ISSUER|AUDIENCE|PROVIDER|BACKEND|STORE|MANAGER|ENDPOINT|HOST|PORT|REGION|NAMESPACE|SCOPES?|REALM"
    r"|LIFETIME|DURATION|TIMEOUT|EXPIRATION|EXPIRES(?:_IN)?|INTERVAL|LENGTH|SIZE|LIMIT|PREFIX|FORMAT|ENCODING|ENCODER"
    r"|ALGORITHM|ALG|METHOD|MODE|POLICY|STRATEGY|VERSION|REQUIRED))$",
    re.IGNORECASE,
)
_TOKEN_VALUE = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_[A-Za-z0-9_]{40}|\bglpat-[A-Za-z0-9_-]{20}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10}|\bnpm_[A-Za-z0-9]{36}\b|-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
)
_ASSIGNED = re.compile(r"(?<![\w$])([A-Za-z_][A-Za-z0-9_.-]{0,127})=(\"[^\"]*\"|'[^']*'|\S+)")

PRIVATE_KEY = "a private key"
_DOCUMENTS = (".md", ".rst", ".html", ".htm", ".adoc")
SAMPLE = re.compile(r"\.(?:example|sample|template|tmpl|dist|defaults?)$")
# A package that brings its own tests brings keys that everyone has.
_TESTS_OF_PACKAGES = re.compile(
    r"/(?:node_modules|site-packages|dist-packages)/.*/(?:tests?|testing|testdata|__tests__|fixtures|examples?|demos?)/"
)
_KEY_FILES = frozenset({"id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk"})


def secret_in(path: str, text: bytes) -> str | None:
    """Return what secret the file holds, if it does; its beginning is enough."""
    name = path.rpartition("/")[2]
    if _TESTS_OF_PACKAGES.search(path):
        return None
    if private_key_in(path, text):
        return PRIVATE_KEY
    if key_in_keystore(text):
        return "a keystore with a private key"
    if name in _KEY_FILES:
        return "an SSH key"
    if ("/.git/" in path and path.endswith("/.git/HEAD")) or (name == ".git" and text.startswith(b"gitdir:")):
        return "a git repository"
    if (name == ".env" or name.startswith(".env.")) and not SAMPLE.search(name) and _ENV_ASSIGNMENT.search(text):
        return "an environment file"
    rule = _BY_NAME.get(name.lower())
    if rule and re.search(rule[0], text, re.IGNORECASE | re.MULTILINE):
        return rule[1]
    if path.endswith(("/.aws/credentials", "/.aws/config")) and b"aws_secret_access_key" in text.lower():
        return "AWS credentials"
    if b"kind: Config" in text and re.search(rb"^[ \t]*(?:token|client-key-data|password): *\S", text, re.MULTILINE):
        return "a kubeconfig with credentials"
    if b'"service_account"' in text and b'"private_key"' in text:
        return "a cloud service account's key"
    return None


def private_key_in(path: str, text: bytes) -> bool:
    """Tell whether the text holds a private key, wherever it is, that no package brings for its tests."""
    if b"PRIVATE KEY" not in text or path.endswith(_DOCUMENTS) or _TESTS_OF_PACKAGES.search(path):
        return False
    return _PRIVATE_KEY.search(text) is not None


# PKCS #12 names the bag that holds an encrypted private key: 1.2.840.113549.1.12.10.1.2.
_SHROUDED_KEY_BAG = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02"
_JAVA_KEYSTORES = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")


def key_in_keystore(data: bytes) -> bool:
    """Tell a keystore from a truststore: PKCS #12, JKS or JCEKS, as far as it was read."""
    if data[:1] == b"\x30":
        return _SHROUDED_KEY_BAG in data
    if data[:4] not in _JAVA_KEYSTORES or len(data) < 12:
        return False
    position, left = 12, int.from_bytes(data[8:12], "big")
    while left and position + 6 <= len(data):
        if int.from_bytes(data[position : position + 4], "big") != 2:  # 2 is a certificate
            return True
        position += 6 + int.from_bytes(data[position + 4 : position + 6], "big") + 8  # its alias and date
        position += 2 + int.from_bytes(data[position : position + 2], "big")  # its type
        position += 4 + int.from_bytes(data[position : position + 4], "big")
        left -= 1
    return False


_BY_NAME: dict[str, tuple[bytes, str]] = {
    ".npmrc": (rb"(?:_authToken|_auth|_password)\s*=\s*[^\s$]", "an npm token"),
    ".yarnrc.yml": (rb"npmAuth(?:Token|Ident):\s*[\"']?[^\s$\"']", "an npm token"),
    ".netrc": (rb"\bpassword\s+\S", "a .netrc password"),
    "_netrc": (rb"\bpassword\s+\S", "a .netrc password"),
    ".pypirc": (rb"^[ \t]*password\s*[=:]\s*\S", "a PyPI password"),
    ".git-credentials": (rb"://[^/\s:]+:[^/\s@]+@", "git credentials"),
    ".dockercfg": (rb"\"auth\"\s*:\s*\"[^\"]", "a registry password"),
    ".dockerconfigjson": (rb"\"auth\"\s*:\s*\"[^\"]", "a registry password"),
    "config.json": (
        rb"\"auths\"\s*:\s*\{[^}]{0,4096}\"(?:auth|password|identitytoken)\"\s*:\s*\"[^\"]",
        "a registry password",
    ),
    "auth.json": (rb"\"auths\"\s*:\s*\{[^}]{0,4096}\"auth\"\s*:\s*\"[^\"]", "a registry password"),
    "pip.conf": (rb"://[^/\s:@]+:[^/\s@${]+@", "a package index password"),
    "pip.ini": (rb"://[^/\s:@]+:[^/\s@${]+@", "a package index password"),
    "uv.toml": (rb"://[^/\s:@]+:[^/\s@${]+@", "a package index password"),
    "settings.xml": (rb"<password>\s*[^<\s$]", "a Maven repository password"),
    "credentials.toml": (rb"^[ \t]*token\s*=\s*\"[^\"]", "a Cargo registry token"),
    "application_default_credentials.json": (rb"\"(?:refresh_token|private_key)\"", "Google credentials"),
    ".pgpass": (rb":[^:\s]+$", "a database password"),
    ".vault-token": (rb"\S", "a Vault token"),
    ".htpasswd": (rb":\S", "password hashes"),
}


def secret_setting(name: str, value: str) -> str | None:
    """Return what makes the setting a secret: its name or its value."""
    plain = value.strip().strip("\"'")
    if _TOKEN_VALUE.search(plain) or _URL_PASSWORD.search(plain):
        return "its value looks like a credential"
    if not plain or _NO_VALUE.fullmatch(plain):
        return None
    return "its name says so" if secret_name(name) else None


def secret_name(name: str) -> bool:
    return bool(_SECRET_NAME.search(name)) and not _POINTER_NAME.search(name)


def secrets_in_line(line: str) -> list[str]:
    """Return the names of the secrets that are assigned in a line of a command."""
    names = [name for name, value in _ASSIGNED.findall(line) if secret_setting(name, value)]
    if not names and (_TOKEN_VALUE.search(line) or _URL_PASSWORD.search(line)):
        names.append("a credential")
    return names
