"""What a script installs: a help for the team, not a proof. That jobs pass without a network is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import shell

_INSTALLERS: tuple[tuple[frozenset[str], frozenset[str]], ...] = tuple(
    (frozenset(names.split()), frozenset(verbs.split()))
    for names, verbs in (
        ("apt-get apt aptitude", "install update upgrade dist-upgrade full-upgrade build-dep"),
        ("apk", "add update upgrade"),
        ("yum dnf microdnf tdnf zypper", "install update upgrade localinstall groupinstall in up"),
        ("pip pip3 pipx", "install run download wheel inject"),
        ("npm", "install i ci add exec x install-ci-test isntall"),
        ("yarn pnpm bun", "install add dlx i x"),
        ("go", "install get"),
        ("cargo", "install binstall"),
        ("rustup", "install add default update toolchain component target"),
        ("gem brew snap flatpak luarocks asdf mise nvm sdk", "install use"),
        ("bundle bundler", "install update"),
        ("composer", "install update require global"),
        ("conda mamba micromamba", "install create update env"),
        ("poetry pdm pipenv", "install add sync update"),
        ("deno", "install add cache"),
        ("corepack", "enable install prepare use"),
        ("helm", "plugin"),
        ("tdnf opkg pacman", "install"),
    )
)
_ALONE = frozenset({"yarn", "bundle"})  # without a verb they install
_ALWAYS = frozenset({"npx", "uvx", "pnpx", "bunx", "cpanm", "yarnpkg"})
_OFFLINE = frozenset({"--offline", "--frozen-offline", "--no-index", "-o", "--prefer-offline=only", "--local"})
_INTERPRETERS = frozenset(
    {"sh", "bash", "dash", "ash", "zsh", "ksh", "python", "python3", "perl", "node", "ruby", "php", "source", "."}
)
_LOADERS = frozenset({"curl", "wget"})
_PYTHON = re.compile(r"python[\d.]*(?:\$\{?\w+\}?)?")


@dataclass
class Downloads:
    """The files that the scripts of a job have loaded so far."""

    files: set[str] = field(default_factory=set)


def installed_by(script: str, downloads: Downloads) -> Iterator[str]:
    """Yield what the script installs, or runs without having it in the repository."""
    previous: shell.Command | None = None
    for command in shell.commands(script):
        what = _install(command) or _run_download(previous, command, downloads)
        if what:
            yield what
        downloads.files.update(_loaded(command))
        previous = command


def arguments(words: list[str]) -> list[str]:
    """The words of a command without its options; a word behind one may be the option's."""
    found: list[str] = []
    for position, word in enumerate(words[1:], 1):
        if word.startswith(("-", "+")):
            continue
        before = words[position - 1]
        if not found and position > 1 and before.startswith("-") and "=" not in before and before != "--":
            following = [other for other in words[position + 1 :] if not other.startswith("-")]
            if following:
                continue  # the option's own
        found.append(word)
    return found


def _install(command: shell.Command) -> str:
    words = command.words
    shown = " ".join(words)
    shown = shown if len(shown) <= 60 else shown[:59] + "…"
    name = command.name
    if name in _ALWAYS:
        return shown
    if _PYTHON.fullmatch(name) and "-m" in words[1:4]:
        module = words[words.index("-m") + 1 :]
        words = module if module[:1] in (["pip"], ["pipx"], ["ensurepip"]) else words
        if words[:1] == ["ensurepip"]:
            return shown
        name = words[0].rpartition("/")[2]
    offline = bool(_OFFLINE & set(words))
    if name == "uv":
        verbs = arguments(words)
        if verbs[:1] in (["pip"], ["tool"]):
            return shown if set(verbs[1:2]) & {"install", "sync", "run"} and not offline else ""
        return shown if set(verbs[:1]) & {"add", "sync"} and not offline else ""
    if name == "go" and words[1:2] == ["run"] and any("@" in word for word in words[2:3]):
        return shown
    if (name == "dpkg" and {"-i", "--install"} & set(words)) or (
        name == "rpm" and any(re.fullmatch(r"-[a-zA-Z]*[iU][a-zA-Z]*|--install|--upgrade", word) for word in words[1:])
    ):
        return shown
    if name == "dotnet" and words[1:3] in (["tool", "install"], ["tool", "restore"]):
        return shown
    verbs = arguments(words)
    if name in _ALONE and not verbs and not {"--version", "--help", "-v", "-h"} & set(words):
        return shown
    # A word behind an option may be the option's or the verb: the second counts as well.
    candidates = verbs[:1]
    if not candidates or (len(words) > 2 and words[1].startswith("-")):
        candidates = [word for word in words[1:4] if not word.startswith(("-", "+"))][:2] or candidates
    for names, known in _INSTALLERS:
        if name in names and set(candidates) & known and not offline:
            return shown
    return ""


def _run_download(previous: shell.Command | None, command: shell.Command, downloads: Downloads) -> str:
    if previous is not None and command.piped and command.name in _INTERPRETERS and previous.name in _LOADERS:
        return f"{previous.name} | {command.name}"
    if command.name in _INTERPRETERS or command.words[0] in ("$()", "<()"):
        nested = {inner.name for text in command.nested for inner in shell.commands(text)} & _LOADERS
        if nested and any("$()" in word or "<()" in word for word in command.words):
            who = "the shell" if "(" in command.name else command.name
            return f"{who} runs what {min(nested)} loads"
    for word in command.words[:1] if command.name not in _INTERPRETERS else command.words[1:]:
        if _plain(word) in downloads.files:
            return f"{word[:60]}, which the job has downloaded"
    return ""


def _loaded(command: shell.Command) -> Iterator[str]:
    """Yield the names of the files that the command writes what it loads to."""
    words = command.words
    if command.name not in _LOADERS:
        return
    named = False
    for position, word in enumerate(words[:-1]):
        outputs = ("-o", "--output", ">", ">>") if command.name == "curl" else ("-O", "--output-document", ">", ">>")
        if word in outputs or (command.name == "curl" and re.fullmatch(r"-[a-zA-Z]*o", word)):
            named = True
            yield _plain(words[position + 1])
        elif word.startswith(">") and len(word) > 1:
            named = True
            yield _plain(word.lstrip(">"))
    remote = command.name == "wget" or any(re.fullmatch(r"-[a-zA-Z]*O[a-zA-Z]*|--remote-name", word) for word in words)
    if remote and not named:
        for word in words[1:]:
            if "/" in word and not word.startswith("-"):
                yield _plain(word.partition("?")[0].rpartition("/")[2])


def _plain(name: str) -> str:
    return name[2:] if name.startswith("./") else name
