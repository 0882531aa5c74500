"""Passwords that a command is given as an argument."""

from __future__ import annotations

import re
from collections.abc import Iterator

from . import shell
from .secrets_in_files import secret_setting, secrets_in_line

# Options that hold user:password, a password, or a password glued to them.
_PAIRS = {
    "curl": ("-u", "--user", "-U", "--proxy-user"),
    "http": ("-a", "--auth"),
    "https": ("-a", "--auth"),
    "xh": ("-a", "--auth"),
}
_PASSWORDS = {
    "az": ("-p",),
    "buildah": ("-p",),
    "crane": ("-p",),
    "docker": ("-p",),
    "helm": ("-p",),
    "keytool": ("-storepass", "-keypass", "-deststorepass", "-destkeypass", "-srcstorepass", "-srckeypass"),
    "ldapsearch": ("-w",),
    "mongosh": ("-p",),
    "nerdctl": ("-p",),
    "oras": ("-p",),
    "podman": ("-p",),
    "redis-cli": ("-a",),
    "skopeo": ("-p",),
    "sshpass": ("-p",),
}
_GLUED = {"mysql": "-p", "mysqladmin": "-p", "mysqldump": "-p", "mariadb": "-p", "sshpass": "-p"}
_LOGINS = frozenset({"az", "buildah", "crane", "docker", "helm", "nerdctl", "oras", "podman", "skopeo"})
_HEADER = re.compile(
    r"(?:Proxy-)?Authorization:\s*(?:(?:Bearer|Basic|token)\s+)?(\S+)|(?:[\w-]*Token|X-Api-Key):\s*(\S+)", re.IGNORECASE
)
_NAMED = re.compile(
    r"--?((?:[a-z0-9]+[-_])*(?:password|passwd|passphrase|token|secret|(?:api|access|secret)-?key))", re.IGNORECASE
)
_SWITCHES = re.compile(r".*(?:stdin|file|prompt|env)$", re.IGNORECASE)


def secrets_in_script(text: str) -> list[str]:
    """Return the names of the secrets that are written in a script."""
    return list(dict.fromkeys([*secrets_in_line(text), *_given(text)]))


def _given(text: str) -> Iterator[str]:
    previous: shell.Command | None = None
    for command in shell.commands(text):
        yield from _arguments(command)
        if previous is not None and command.piped and previous.name in ("echo", "printf"):
            words = [word for word in previous.words[1:] if not word.startswith("-")]
            reads = "--password-stdin" in command.words or command.name == "chpasswd"
            if reads and words and all(_literal(word) for word in words):
                yield f"the password for {command.name}"
        previous = command


def _arguments(command: shell.Command) -> Iterator[str]:
    words = command.words
    login = command.name not in _LOGINS or "login" in words[1:4]
    for position, word in enumerate(words[1:], 1):
        option, equals, value = word.partition("=")
        if not equals:
            value = words[position + 1] if position + 1 < len(words) else ""
        if option in _PAIRS.get(command.name, ()) or re.fullmatch(r"-[a-zA-Z]*u", option * (command.name == "curl")):
            if _literal(value.partition(":")[2]) and not re.fullmatch(r"\d+:\d+", value):
                yield f"the password of {command.name} {option}"
        elif command.name == "curl" and word.startswith("-u") and _literal(word.partition(":")[2]):
            yield "the password of curl -u"
        elif option in _PASSWORDS.get(command.name, ()) and login:
            if _literal(value):
                yield f"the password of {command.name} {option}"
        elif word.startswith(_GLUED.get(command.name, "\0")) and _literal(word[2:]):
            yield f"the password of {command.name} -p"
        elif command.name in ("curl", "wget") and option in ("-H", "--header"):
            match = _HEADER.match(value)
            if match and _literal(match.group(1) or match.group(2)):
                yield f"a header of {command.name}"
        elif command.name == "openssl" and re.match(r"pass:.", word) and _literal(word[5:]):
            yield "the password of openssl"
        elif option == "--secret" and value.startswith("id="):
            pass  # where a builder finds it: id=NAME,src=FILE or id=NAME,env=VARIABLE
        elif not equals and not _SWITCHES.fullmatch(option):
            named = _NAMED.fullmatch(option)
            if named and _literal(value) and secret_setting(named.group(1).replace("-", "_"), value):
                yield named.group(1)


def _literal(text: str) -> bool:
    """Tell a password from a variable, a placeholder and another option."""
    return len(text) > 1 and not re.search(r"[$`{}<>%*]", text) and not text.startswith(("-", "/", "~", "."))
