"""What a file is, told from its bytes: programs, certificates, secrets."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Callable, Iterator

from .model import printable
from .secrets_in_files import PRIVATE_KEY, private_key_in, secret_in
from .tarstream import Content
from .zipstream import ARCHIVE, members

HEAD = 64 << 10
TEXT = 4 << 20  # so much of a text is searched for a private key, which may stand anywhere in it
WINDOW = 8 << 20
OVERLAP = 256
SHELL_SIZE = 32 << 20  # no shell is larger; a few runtimes are
MAX_NESTED = 3  # archives in archives
ELF = b"\x7fELF"
IN_ARCHIVE = " in its "

SHELL, PACKAGE_MANAGER, INTERPRETER = "shell", "package manager", "interpreter"


def _wide(text: str) -> bytes:
    return text.encode("utf-32-le")


# A program is told by two strings of different kinds: one that hints at it, and a proof that
# a program which only speaks of it does not carry. All needles of a hint must be there, and
# one of the proofs.
_SIGNATURES: tuple[tuple[str, str, tuple[bytes, ...], tuple[bytes, ...]], ...] = (
    (SHELL, "busybox", (b"BusyBox is a multi-call binary",), (b"applet not found",)),
    (SHELL, "toybox", (b"Toybox %s multicall binary",), (b"landley.net/toybox", b"Unknown command %s")),
    (SHELL, "bash", (b"GNU bash, version ",), (b"ambiguous redirect", b"BASH_EXECUTION_STRING")),
    (SHELL, "dash", (b"job control turned off",), (b"parameter not set",)),
    (SHELL, "zsh", (b"ZSH_PATCHLEVEL",), (b"parameter not set",)),
    (SHELL, "ksh", (b"@(#)MIRBSD KSH",), (b"parameter not set",)),
    (SHELL, "ksh", (b"@(#)LEGACY KSH",), (b"parameter not set",)),
    (SHELL, "ksh", (b"@(#)PD KSH",), (b"parameter not set",)),
    (SHELL, "csh", (b"Missing name for redirect",), (b"Undefined variable",)),
    (SHELL, "fish", (b"fish_key_bindings",), (b"fish_history",)),
    (SHELL, "fish", (_wide("fish_key_bindings"),), (_wide("Unknown command"), _wide("fish_history"))),
    (SHELL, "yash", (_wide("YASH_VERSION"),), (b"YASH_LOADPATH", _wide("YASH_LOADPATH"))),
    (SHELL, "sash", (b"Stand-alone shell",), (b"aliasall",)),
    (SHELL, "rc", (b"@(#)rc ",), (b"unknown node in walk", b"bad subscript")),
    (SHELL, "es", (b"usage: es [-c command]",), (b"uncaught exception: ",)),
    (SHELL, "posix-shell", (b"OPTIND", b"noglob", b"PS4"), (b"parameter not set",)),
    (PACKAGE_MANAGER, "apt", (b"libapt-pkg.so",), (b"libapt-private.so", b"APT::")),
    (PACKAGE_MANAGER, "dpkg", (b"DPKG_MAINTSCRIPT_PACKAGE",), (b"dpkg-deb",)),
    (PACKAGE_MANAGER, "apk", (b"apk-tools ",), (b"lib/apk/db",)),
    (PACKAGE_MANAGER, "apk", (b"libapk.so",), (b"apk_db_open", b"apk-tools ")),
    (PACKAGE_MANAGER, "rpm", (b"librpm.so",), (b"rpmcliInit",)),
    (PACKAGE_MANAGER, "dnf", (b"libdnf.so",), (b"dnf_context_new",)),
    (PACKAGE_MANAGER, "dnf", (b"libdnf5.so",), (b"libdnf5-cli.so",)),
    (PACKAGE_MANAGER, "zypper", (b"libzypp.so",), (b"zypper",)),
    (PACKAGE_MANAGER, "pacman", (b"libalpm.so",), (b"alpm_initialize",)),
    (PACKAGE_MANAGER, "uv", (b"UV_PYTHON_INSTALL_DIR",), (b"extremely fast Python package manager",)),
    (INTERPRETER, "python", (b"Py_BytesMain",), (b"PYTHONHASHSEED", b"libpython3")),
    (INTERPRETER, "perl", (b"perl_parse",), (b"PERL5DB", b"libperl.so")),
    (INTERPRETER, "ruby", (b"ruby_run_node",), (b"libruby", b"RUBYOPT")),
    (INTERPRETER, "lua", (b"LUA_INIT",), (b"PUC-Rio", b"LuaJIT ", b"liblua")),
    (INTERPRETER, "php", (b"PHP_INI_SCAN_DIR",), (b"Zend Engine",)),
    (INTERPRETER, "awk", (b"AWKPATH",), (b"POSIX or GNU style options",)),
    (INTERPRETER, "awk", (b"Usage: mawk ",), (b"improper conversion",)),
    (INTERPRETER, "awk", (b"bad conversion %c in format()",), (b"[-F fs]",)),
    (INTERPRETER, "tcl", (b"Tcl_MainEx",), (b"libtcl", b"tclshrc")),
    (INTERPRETER, "expect", (b"Expect_Init",), (b"libexpect", b"exp_parse_argv")),
    (INTERPRETER, "jim", (b"jimsh version",), (b"Jim_CreateInterp", b"libjim")),
    (INTERPRETER, "guile", (b"scm_shell",), (b"libguile",)),
    (INTERPRETER, "duktape", (b"Usage: duk [options]",), (b"[ecmascript code]",)),
    (INTERPRETER, "quickjs", (b"usage: qjs [options]",), (b"JS_EvalFunction", b"js_std_", b"QuickJS")),
    (INTERPRETER, "gforth", (b"GFORTHPATH",), (b"Print engine version and exit",)),
    (INTERPRETER, "a C compiler", (b"GCC_EXEC_PREFIX",), (b"no input files", b"Using built-in specs")),
    (INTERPRETER, "a C compiler", (b"CCC_OVERRIDE_OPTIONS",), (b"clang version ", b"libclang-cpp.so")),
    (INTERPRETER, "a C compiler", (b"Tiny C Compiler",), (b"tcc version",)),
    (INTERPRETER, "javac", (b"com.sun.tools.javac.Main", b"JLI_Launch"), (b"libjli.so",)),
    (INTERPRETER, "jshell", (b"jdk.internal.jshell.tool", b"JLI_Launch"), (b"libjli.so",)),
    (INTERPRETER, "jrunscript", (b"com.sun.tools.script.shell", b"JLI_Launch"), (b"libjli.so",)),
    (INTERPRETER, "java", (b"JLI_Launch",), (b"libjli.so",)),
    (INTERPRETER, "node", (b"_ZN4node5Start",), (b"NODE_OPTIONS", b"libnode.so")),
    (INTERPRETER, "deno", (b"DENO_DIR",), (b"deno_core", b"denort")),
    (INTERPRETER, "bun", (b"BUN_INSTALL",), (b"oven-sh/bun", b"bun.sh/docs")),
    (INTERPRETER, "dotnet", (b"hostfxr_main_startupinfo",), (b"DOTNET_ROOT",)),
)

# The package whose main a program of Go was built from, as its build information has it.
_GO_MAIN = bytes.fromhex("3077af0c9274080241e1c107e6d618e6") + b"path\t"
_GO_PROGRAMS: tuple[tuple[str, str, str], ...] = (
    (SHELL, "gosh", r"mvdan\.cc/sh(?:/v\d+)?/cmd/gosh|github\.com/u-root/u-root/cmds/(?:core|exp)/(?:gosh|rush)"),
    (SHELL, "elvish", r"(?:src\.elv\.sh|github\.com/(?:elves|xiaq|u-root/u-root/cmds/core)/elvish)(?:/cmd/.*)?"),
    (SHELL, "a busybox of Go", r"bb\.u-root\.com/.*|github\.com/u-root/gobusybox/.*"),
    (INTERPRETER, "yaegi", r"github\.com/(?:traefik|containous)/yaegi(?:/cmd/yaegi)?"),
    (INTERPRETER, "tengo", r"github\.com/d5/tengo(?:/v\d+)?/cmd/tengo"),
    (INTERPRETER, "goja", r"github\.com/dop251/goja/goja"),
    (INTERPRETER, "otto", r"github\.com/robertkrimen/otto/otto"),
    (INTERPRETER, "lua", r"github\.com/yuin/gopher-lua/cmd/glua"),
    (INTERPRETER, "anko", r"github\.com/mattn/anko"),
    (INTERPRETER, "starlark", r"go\.starlark\.net/cmd/starlark"),
    (INTERPRETER, "goawk", r"github\.com/benhoyt/goawk"),
    (INTERPRETER, "the Go toolchain", r"cmd/(?:go|compile|asm|link)"),
)
_GO_PATTERNS = tuple((kind, label, re.compile(pattern)) for kind, label, pattern in _GO_PROGRAMS)

# Needles are printable. Without the other bytes a program is half as long, and as often
# searched; NUL goes as well, which makes a wide needle a plain one.
_UNPRINTABLE = bytes(byte for byte in range(256) if not 0x20 <= byte < 0x7F)


def _condensed(needles: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(needle.translate(None, _UNPRINTABLE) for needle in needles)


_HINTS = tuple(_condensed(hint) for _, _, hint, _ in _SIGNATURES)
_PROOFS = tuple(_condensed(proofs) for _, _, _, proofs in _SIGNATURES)
_LARGE_PROGRAMS = frozenset({"python", "node", "deno", "bun", "uv"})
_EVERY_SIGNATURE = tuple(range(len(_SIGNATURES)))
_LARGE_SIGNATURES = tuple(index for index in _EVERY_SIGNATURE if _SIGNATURES[index][1] in _LARGE_PROGRAMS)

_NAMES: tuple[tuple[str, str, str], ...] = (
    (SHELL, "", r"(?:ba|da|a|z|k|mk|lk|pdk|ok|c|tc|fi|ya|po|sa|rba)?sh|ksh93|busybox|toybox|elvish|nu|pwsh|xonsh"),
    (SHELL, "", r"rc\.byron|gosh"),
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

    __slots__ = ("certificates", "homes", "interpreter", "kind", "modules", "program", "script", "secret")

    def __init__(self) -> None:
        self.kind = ""
        self.program = ""
        self.interpreter = ""
        self.script = False
        self.secret: str | None = None
        self.certificates = False
        self.modules: tuple[str, ...] = ()
        self.homes: dict[int, str] = {}  # of the users, where the file lists them

    def __bool__(self) -> bool:
        return bool(self.kind or self.interpreter or self.secret or self.certificates or self.modules or self.homes)


def program_by_name(name: str) -> tuple[str, str] | None:
    """Return the kind and the label of a program with this file name."""
    if name[:1] in _FIRST_LETTERS:
        for kind, label, pattern in _NAME_PATTERNS:
            if pattern.fullmatch(name):
                return kind, label or name
    return None


class Inspector:
    """Reads a file once, as it streams by."""

    def __init__(self) -> None:
        self.spend: Callable[[int], None] = lambda count: None  # of what archives unpack to

    def inspect(self, path: str, size: int, content: Content) -> Facts | None:
        facts = Facts()
        pieces = iter(content)
        head = bytearray()
        for piece in pieces:
            head += piece
            if len(head) >= HEAD:
                break
        if head.startswith(ELF):
            facts.interpreter = _elf_interpreter(bytes(head[:HEAD]))
            facts.kind, facts.program = recognise(head, pieces)
            return facts if facts else None
        text = bytes(head[:HEAD])
        if text.startswith(b"#!"):
            facts.script = True
            words = text[2:512].split(b"\n", 1)[0].split()
            facts.interpreter = words[0].decode("utf-8", "surrogateescape") if words else ""
        facts.certificates = b"-----BEGIN CERTIFICATE-----" in text or b"-----BEGIN TRUSTED CERTIFICATE-----" in text
        facts.secret = secret_in(path, text)
        begins = 0 if text.startswith(ARCHIVE) else text.find(ARCHIVE) if facts.script else -1
        if begins >= 0:
            del head[:begins]
            facts.kind, facts.program = self._in_archive(itertools.chain([memoryview(bytes(head))], pieces), 0)
            return facts if facts else None
        if facts.secret is None and size > HEAD and b"\0" not in text and _private_key_behind(path, head, pieces):
            facts.secret = PRIVATE_KEY
        if path == "/etc/passwd":
            entries = (line.split(":") for line in text.decode("utf-8", "replace").splitlines())
            facts.homes = {
                int(one[2]): one[5] for one in entries if len(one) > 5 and re.fullmatch("[0-9]{1,10}", one[2])
            }
        if path.endswith("/release") and b"\nMODULES=" in b"\n" + text:
            listed = re.search(rb'^MODULES="([^"\n]*)"', text, re.MULTILINE)
            facts.modules = tuple(listed.group(1).decode("ascii", "replace").split()) if listed else ()
        return facts if facts else None

    def _in_archive(self, pieces: Iterator[memoryview], depth: int) -> tuple[str, str]:
        """Return the first program that lies in a zip, or in one that lies in it."""
        for name, begin, content in members(pieces, self.spend):
            kind = program = ""
            if begin.startswith(ELF):
                kind, program = recognise(bytearray(begin), content)
            elif begin.startswith(ARCHIVE) and depth < MAX_NESTED:
                kind, program = self._in_archive(itertools.chain([memoryview(begin)], content), depth + 1)
            if kind:
                return kind, program if IN_ARCHIVE in program else program + IN_ARCHIVE + printable(name[:200])
        return "", ""


def recognise(window: bytearray, pieces: Iterator[memoryview]) -> tuple[str, str]:
    """Return kind and name of the program whose bytes these are, or nothing."""
    found = _Search()
    for piece in pieces:
        window += piece
        if len(window) >= WINDOW:
            found.look_at(window)
            del window[:-OVERLAP]
    found.look_at(window)
    return found.answer()


class _Search:
    """Looks for the signatures in one window after another; a hint and its proof may be far apart."""

    def __init__(self) -> None:
        self._passed = 0
        self._kept: list[bytes] = []  # what was searched, for the proofs
        self._hinted: set[int] = set()
        self._proven: set[int] = set()
        self._go: tuple[str, str] = ("", "")

    def look_at(self, window: bytearray) -> None:
        large = self._passed >= SHELL_SIZE
        self._passed += len(window)
        if large and self.answer()[0]:
            return
        condensed = bytes(window.translate(None, _UNPRINTABLE))
        if not large:
            self._kept.append(condensed)
            self._look_for_go(window)
        there: dict[bytes, bool] = {}
        for index in _LARGE_SIGNATURES if large else _EVERY_SIGNATURE:
            for needle in _HINTS[index]:
                if needle not in there:
                    there[needle] = needle in condensed
                if not there[needle]:
                    break
            else:
                if all(needle in window for needle in _SIGNATURES[index][2]):
                    self._hinted.add(index)
            if large and any(proof in condensed for proof in _PROOFS[index]):
                self._proven.add(index)

    def _look_for_go(self, window: bytearray) -> None:
        at = window.find(_GO_MAIN)
        if at >= 0 and not self._go[0]:
            begins = at + len(_GO_MAIN)
            self._go = _go_program(bytes(window[begins : begins + 300]).split(b"\n", 1)[0])

    def answer(self) -> tuple[str, str]:
        for index in sorted(self._hinted):
            if index in self._proven or any(proof in kept for kept in self._kept for proof in _PROOFS[index]):
                return _SIGNATURES[index][0], _SIGNATURES[index][1]
        return self._go


def _go_program(path: bytes) -> tuple[str, str]:
    name = path.decode("utf-8", "replace")
    for kind, label, pattern in _GO_PATTERNS:
        if pattern.fullmatch(name):
            return kind, label
    return "", ""


def _private_key_behind(path: str, head: bytearray, pieces: Iterator[memoryview]) -> bool:
    """Read on in a text, and look for a private key in what is there by then."""
    for piece in pieces:
        if len(head) >= TEXT:
            break
        head += piece
    return private_key_in(path, bytes(head[:TEXT]))


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
