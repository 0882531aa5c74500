"""Signature and TLS checks that a command or a variable switches off."""

from __future__ import annotations

import re
from collections.abc import Iterator

from . import shell

_OPTIONS: tuple[tuple[frozenset[str], re.Pattern[str]], ...] = tuple(
    (frozenset(names.split()), re.compile(pattern, re.IGNORECASE))
    for names, pattern in (
        ("curl", r"--(?:proxy-)?insecure"),
        ("wget", r"--no-check-certificate"),
        ("pip pip3 pipx uv", r"--trusted-host(?:=.*)?|--allow-insecure-host(?:=.*)?"),
        (
            "apt apt-get aptitude",
            r"--allow-unauthenticated|--allow-insecure-repositories|--force-yes"
            r"|(?:-o)?(?:APT::Get::AllowUnauthenticated|Acquire::AllowInsecureRepositories)=(?:true|yes|1)"
            r"|(?:-o)?Acquire::https?::(?:[^:]*::)?Verify-(?:Peer|Host)=(?:false|no|0)",
        ),
        ("apk", r"--allow-untrusted"),
        ("yum dnf microdnf tdnf", r"--nogpgcheck|--setopt=(?:.*\.)?(?:gpgcheck|sslverify)=(?:0|false)"),
        ("zypper", r"--no-gpg-checks"),
        ("rpm", r"--nosignature|--nodigest|--nogpg"),
        ("npm pnpm yarn", r"--(?:no-strict-ssl|strict-ssl=false)"),
        ("go", r"-insecure"),
        ("git", r"http\.(?:.*\.)?sslVerify=(?:false|0|no)"),
        ("mvn mvnw", r"-D(?:maven\.wagon\.http\.ssl\.insecure=true|aether\.connector\.https\.securityMode=insecure)"),
        ("gradle gradlew", r"--dependency-verification=(?:off|lenient)|-Dorg\.gradle\.dependency\.verification=off"),
        ("buildah podman skopeo", r"--tls-verify=false"),
        ("crane helm kubectl oras", r"--insecure(?:-skip-tls-verify)?(?:=true)?|--kube-insecure-skip-tls-verify"),
    )
)
_SETTINGS = re.compile(
    r"git config (?:--\w+ )*http\.(?:\S+\.)?sslVerify (?:false|0|no)"
    r"|(?:npm|pnpm|yarn) config set (?:-\S+ )*(?:strict-ssl(?: |=)false|enableStrictSsl false)"
    r"|composer config (?:-\S+ )*(?:disable-tls true|secure-http false)"
    r"|conda config --set ssl_verify (?:false|no)"
    r"|pip3? config set \S*trusted-host \S+"
    r"|gradlew? .*--dependency-verification (?:off|lenient)"
    r"|bundle config (?:set )?(?:--\w+ )*ssl_verify_mode 0",
    re.IGNORECASE,
)
_VARIABLES = re.compile(
    r"(?<![\w-])(?:(?:GIT_SSL_NO_VERIFY|CARGO_HTTP_SSL_NO_VERIFY)=[\"']?(?:1|true)"
    r"|(?:NODE_TLS_REJECT_UNAUTHORIZED|PYTHONHTTPSVERIFY|YARN_ENABLE_STRICT_SSL)=[\"']?(?:0|false)"
    r"|NPM_CONFIG_STRICT_SSL=[\"']?false|GOSUMDB=[\"']?off|GOFLAGS=[\"']?-insecure|GONOSUMCHECK=[\"']?1"
    r"|(?:PIP_TRUSTED_HOST|UV_INSECURE_HOST|GOINSECURE)=[\"']?[^\s\"'])",
    re.IGNORECASE,
)
_REPOSITORY = re.compile(r"\bdeb(?:-src)?\s+\[[^\]]*\btrusted=yes|^Trusted:\s*yes", re.IGNORECASE | re.MULTILINE)


def switched_off(text: str) -> Iterator[str]:
    """Yield what a script, or an assignment of a variable, switches off."""
    found: dict[str, None] = {}
    for match in _VARIABLES.finditer(text):
        found[match.group().partition("=")[0]] = None
    if _REPOSITORY.search(text):
        found["a package source with trusted=yes"] = None
    for command in shell.commands(text):
        words = command.words
        for names, pattern in _OPTIONS:
            if command.name in names:
                found.update({f"{command.name} {word[:40]}": None for word in words[1:] if pattern.fullmatch(word)})
        if command.name == "curl":
            short = [word for word in words[1:] if re.fullmatch(r"-[a-zA-Z#0-9]*", word) and _insecure(word)]
            found.update({f"curl {word}": None for word in short})
        match = _SETTINGS.match(" ".join([command.name, *words[1:]]))
        if match:
            found[match.group()[:60]] = None
    for what in found:
        yield f"{what} switches a signature or TLS check off"


def _insecure(word: str) -> bool:
    """Tell whether k is among curl's short options, and not the value of one of them."""
    for char in word[1:]:
        if char == "k":
            return True
        if char in "AbBcCdDeEFhHKmoPQrtTuUwxXyYz":
            return False
    return False
