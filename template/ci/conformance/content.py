"""What a file is, told from its bytes: programs, certificates, secrets."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from .secrets_in_files import PRIVATE_KEY, private_key_in, secret_in
from .tarstream import Content

HEAD = 64 << 10
TEXT = 4 << 20  # so much of a text is searched for a private key, which may stand anywhere in it
WINDOW = 8 << 20
OVERLAP = 256
SHELL_SIZE = 32 << 20  # no shell is larger; a few runtimes are

SHELL, PACKAGE_MANAGER, INTERPRETER = "shell", "package manager", "interpreter"


def _wide(text: str) -> bytes:
    return text.encode("utf-32-le")


# Strings that only the program itself carries; all needles of one row must be in the file.
_SIGNATURES: tuple[tuple[str, str, tuple[bytes, ...]], ...] = (
    (SHELL, "busybox", (b"BusyBox is a multi-call binary",)),
    (SHELL, "toybox", (b"Toybox %s multicall binary",)),
    (SHELL, "bash", (b"GNU bash, version ",)),
    (SHELL, "dash", (b"job control turned off",)),
    (SHELL, "zsh", (b"ZSH_PATCHLEVEL",)),
    (SHELL, "ksh", (b"@(#)MIRBSD KSH",)),
    (SHELL, "ksh", (b"@(#)LEGACY KSH",)),
    (SHELL, "ksh", (b"@(#)PD KSH",)),
    (SHELL, "csh", (b"Missing name for redirect",)),
    (SHELL, "fish", (b"fish_key_bindings",)),
    (SHELL, "fish", (_wide("fish_key_bindings"),)),
    (SHELL, "yash", (_wide("YASH_VERSION"),)),
    (SHELL, "sash", (b"Stand-alone shell",)),
    (SHELL, "elvish", (b"src.elv.sh/pkg/shell",)),
    (SHELL, "posix-shell", (b"OPTIND", b"noglob", b"PS4")),
    (PACKAGE_MANAGER, "apt", (b"libapt-pkg.so",)),
    (PACKAGE_MANAGER, "dpkg", (b"DPKG_MAINTSCRIPT_PACKAGE",)),
    (PACKAGE_MANAGER, "apk", (b"apk-tools ",)),
    (PACKAGE_MANAGER, "apk", (b"libapk.so",)),
    (PACKAGE_MANAGER, "rpm", (b"librpm.so",)),
    (PACKAGE_MANAGER, "dnf", (b"libdnf.so",)),
    (PACKAGE_MANAGER, "dnf", (b"libdnf5.so",)),
    (PACKAGE_MANAGER, "pacman", (b"libalpm.so",)),
    (PACKAGE_MANAGER, "uv", (b"UV_PYTHON_INSTALL_DIR",)),
    (INTERPRETER, "python", (b"Py_BytesMain",)),
    (INTERPRETER, "perl", (b"PERL5DB",)),
    (INTERPRETER, "ruby", (b"ruby_run_node",)),
    (INTERPRETER, "lua", (b"LUA_INIT",)),
    (INTERPRETER, "php", (b"PHP_INI_SCAN_DIR",)),
    (INTERPRETER, "awk", (b"AWKPATH",)),
    (INTERPRETER, "awk", (b"Usage: mawk ",)),
    (INTERPRETER, "tcl", (b"Tcl_MainEx",)),
    (INTERPRETER, "guile", (b"scm_shell",)),
    (INTERPRETER, "javac", (b"com.sun.tools.javac.Main", b"JLI_Launch")),
    (INTERPRETER, "jshell", (b"jdk.internal.jshell.tool", b"JLI_Launch")),
    (INTERPRETER, "jrunscript", (b"com.sun.tools.script.shell", b"JLI_Launch")),
    (INTERPRETER, "java", (b"JLI_Launch",)),
    (INTERPRETER, "node", (b"_ZN4node5Start",)),
    (INTERPRETER, "deno", (b"DENO_DIR",)),
    (INTERPRETER, "bun", (b"BUN_INSTALL",)),
    (INTERPRETER, "dotnet", (b"hostfxr_main_startupinfo",)),
)

# Needles are printable. Without the other bytes a program is half as long, and as often
# searched; NUL goes as well, which makes a wide needle a plain one.
_UNPRINTABLE = bytes(byte for byte in range(256) if not 0x20 <= byte < 0x7F)
_CONDENSED = tuple(tuple(needle.translate(None, _UNPRINTABLE) for needle in needles) for _, _, needles in _SIGNATURES)
_LARGE_PROGRAMS = frozenset({"python", "node", "deno", "bun", "uv"})
_EVERY_SIGNATURE = tuple(range(len(_SIGNATURES)))
_LARGE_SIGNATURES = tuple(index for index in _EVERY_SIGNATURE if _SIGNATURES[index][1] in _LARGE_PROGRAMS)

_NAMES: tuple[tuple[str, str, str], ...] = (
    (SHELL, "", r"(?:ba|da|a|z|k|mk|lk|pdk|ok|c|tc|fi|ya|po|sa|rba)?sh|ksh93|busybox|toybox|elvish|nu|pwsh|xonsh"),
    (PACKAGE_MANAGER, "apt", r"apt|apt-[a-z]+|aptitude"),
    (PACKAGE_MANAGER, "dpkg", r"dpkg(?:-[a-z]+)?"),
    (PACKAGE_MANAGER, "pip", r"pip[\d.]*|pipx|easy_install(?:-[\d.]+)?"),
    (PACKAGE_MANAGER, "", r"apk|rpm|dnf5?|microdnf|tdnf|yum|zypper|pacman|opkg|snap|flatpak|nix|nix-env|brew"),
    (PACKAGE_MANAGER, "", r"uvx?|poetry|pdm|pipenv|hatch|rye|pixi|conda|mamba|micromamba"),
    (PACKAGE_MANAGER, "", r"npm|npx|yarn|yarnpkg|pnpm|pnpx|corepack"),
    (PACKAGE_MANAGER, "", r"cargo|rustup|gem|bundle|bundler|composer|cpan|cpanm|luarocks|mvn|gradle"),
    (INTERPRETER, "python", r"(?:python|pypy)[\d.]*t?"),
    (INTERPRETER, "perl", r"perl[\d.]*"),
    (INTERPRETER, "ruby", r"ruby[\d.]*|irb"),
    (INTERPRETER, "lua", r"lua(?:jit|c)?[\d.]*"),
    (INTERPRETER, "php", r"php[\d.]*(?:-cgi|-fpm)?"),
    (INTERPRETER, "awk", r"[gmn]?awk|original-awk"),
    (INTERPRETER, "tcl", r"(?:tclsh|wish)[\d.]*|expect"),
    (INTERPRETER, "guile", r"guile[\d.-]*"),
    (INTERPRETER, "node", r"node(?:js)?"),
    (
        INTERPRETER,
        "",
        r"java|javac|jshell|jrunscript|deno|bun|dotnet|mono|groovy|kotlinc?|scala|erl|elixir|julia|Rscript",
    ),
    (INTERPRETER, "a C compiler", r"(?:[a-z0-9_]+-linux-[a-z]+-)?(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|tcc)(?:-\d+)?"),
    (INTERPRETER, "", r"rustc|go"),
)
_NAME_PATTERNS = tuple((kind, label, re.compile(pattern)) for kind, label, pattern in _NAMES)
_FIRST_LETTERS = frozenset("abcdefgijklmnoprstuwxyzR_0123456789")


class Facts:
    """What is known about one file; most files have none."""

    __slots__ = ("certificates", "interpreter", "kind", "modules", "program", "script", "secret")

    def __init__(self) -> None:
        self.kind = ""
        self.program = ""
        self.interpreter = ""
        self.script = False
        self.secret: str | None = None
        self.certificates = False
        self.modules: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.kind or self.interpreter or self.secret or self.certificates or self.modules)


def program_by_name(name: str) -> tuple[str, str] | None:
    """Return the kind and the label of a program with this file name."""
    if name[:1] in _FIRST_LETTERS:
        for kind, label, pattern in _NAME_PATTERNS:
            if pattern.fullmatch(name):
                return kind, label or name
    return None


class Inspector:
    """Reads a file once, as it streams by."""

    def inspect(self, path: str, size: int, content: Content) -> Facts | None:
        facts = Facts()
        pieces = iter(content)
        head = bytearray()
        for piece in pieces:
            head += piece
            if len(head) >= HEAD:
                break
        if head.startswith(b"\x7fELF"):
            facts.interpreter = _elf_interpreter(bytes(head[:HEAD]))
            self._recognise(facts, head, pieces)
            return facts if facts else None
        text = bytes(head[:HEAD])
        if text.startswith(b"#!"):
            facts.script = True
            words = text[2:512].split(b"\n", 1)[0].split()
            facts.interpreter = words[0].decode("utf-8", "surrogateescape") if words else ""
        facts.certificates = b"-----BEGIN CERTIFICATE-----" in text or b"-----BEGIN TRUSTED CERTIFICATE-----" in text
        facts.secret = secret_in(path, text)
        if facts.secret is None and size > HEAD and b"\0" not in text and _private_key_behind(path, head, pieces):
            facts.secret = PRIVATE_KEY
        if path.endswith("/release") and b"\nMODULES=" in b"\n" + text:
            listed = re.search(rb'^MODULES="([^"\n]*)"', text, re.MULTILINE)
            facts.modules = tuple(listed.group(1).decode("ascii", "replace").split()) if listed else ()
        return facts if facts else None

    @staticmethod
    def _recognise(facts: Facts, window: bytearray, pieces: Iterator[memoryview]) -> None:
        found: list[int] = []
        passed = 0
        for piece in pieces:
            window += piece
            if len(window) >= WINDOW:
                found += _signatures_in(window, passed)
                passed += len(window)
                del window[:-OVERLAP]
        found += _signatures_in(window, passed)
        if found:
            facts.kind, facts.program, _ = _SIGNATURES[min(found)]


def _private_key_behind(path: str, head: bytearray, pieces: Iterator[memoryview]) -> bool:
    """Read on in a text, and look for a private key in what is there by then."""
    for piece in pieces:
        if len(head) >= TEXT:
            break
        head += piece
    return private_key_in(path, bytes(head[:TEXT]))


def _signatures_in(window: bytearray, passed: int) -> list[int]:
    """Return the first signature that matches, as a list of one or none."""
    if passed >= SHELL_SIZE:
        return [index for index in _LARGE_SIGNATURES if _all_in(window, _SIGNATURES[index][2])][:1]
    condensed = window.translate(None, _UNPRINTABLE)
    for index in _EVERY_SIGNATURE:
        if _all_in(condensed, _CONDENSED[index]) and _all_in(window, _SIGNATURES[index][2]):
            return [index]
    return []


def _all_in(window: bytearray, needles: tuple[bytes, ...]) -> bool:
    return all(needle in window for needle in needles)


def _elf_interpreter(head: bytes) -> str:
    """Return the dynamic loader that the kernel will look for, or nothing."""
    try:
        wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
        if wide:
            (offset,) = struct.unpack_from(order + "Q", head, 32)
            size, count = struct.unpack_from(order + "HH", head, 54)
        else:
            (offset,) = struct.unpack_from(order + "I", head, 28)
            size, count = struct.unpack_from(order + "HH", head, 42)
        for index in range(min(count, 64)):
            start = offset + index * size
            if struct.unpack_from(order + "I", head, start)[0] != 3:
                continue
            if wide:
                position, _, _, length = struct.unpack_from(order + "QQQQ", head, start + 8)
            else:
                position, _, _, length = struct.unpack_from(order + "IIII", head, start + 4)
            return head[position : position + min(length, 4096)].split(b"\0")[0].decode("utf-8", "surrogateescape")
    except (struct.error, IndexError):
        pass
    return ""
