"""What git has of a service: the index, where the service's folder is in one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# What leads git to another repository than the one of the folder: a hook or a tool sets it.
_ELSEWHERE = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
)
LINK = "120000"
FILES = frozenset({"100644", "100755"})


@dataclass(frozen=True)
class Entry:
    """A path in the index; `held` says that a flag keeps git from looking at the work tree."""

    mode: str
    blob: str
    held: bool


class Index:
    """The paths that git has below a folder; none where the folder is in no repository."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.unmerged: set[str] = set()
        self.entries: dict[str, Entry] = {}
        flags: dict[str, str] = {}
        listed, self.reason = self._git("ls-files", "-z", "-v")
        for line in listed:
            flag, _, path = line.partition(" ")
            flags[path] = flag
        listed, self.reason = self._git("ls-files", "-z", "--stage")
        for line in listed:
            described, _, path = line.partition("\t")
            mode, blob, stage = described.split(" ")
            if stage == "0":
                flag = flags.get(path, "H")
                self.entries[path] = Entry(mode, blob, flag.islower() or flag == "S")
            else:
                self.unmerged.add(path)

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return the content that git has of each path, where it can be read."""
        wanted = [path for path in dict.fromkeys(paths) if path in self.entries]
        asked = "".join(f"{self.entries[path].blob}\n" for path in wanted)
        answer = self._run(("cat-file", "--batch"), asked.encode()) if wanted else b""
        found: dict[str, bytes] = {}
        for path in wanted:
            head, _, answer = (answer or b"").partition(b"\n")
            words = head.split(b" ")
            if len(words) == 3 and words[1] == b"blob":
                size = int(words[2])
                found[path], answer = answer[:size], answer[size + 1 :]
        return found

    def hidden(self, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield each path that `git add --all` leaves out, and the rule that hides it."""
        asked = "\0".join(path for path in dict.fromkeys(paths) if path not in self.entries)
        if not asked or not self.entries:
            return
        command = ("check-ignore", "-z", "--verbose", "--stdin")
        words = (self._run(command, asked.encode("utf-8", "surrogateescape")) or b"").split(b"\0")
        text = [word.decode("utf-8", "surrogateescape") for word in words]
        for source, line, pattern, path in zip(text[0::4], text[1::4], text[2::4], text[3::4]):
            if not pattern.startswith("!"):
                yield path, f"{pattern} in {source}:{line}"

    def target(self, path: str) -> str | None:
        """Return where the link that git has leads to, also where it was checked out as a text."""
        entry = self.entries.get(path)
        if entry is None or entry.mode != LINK:
            return None
        data = self.read([path]).get(path)
        return None if data is None else os.fsdecode(data)

    def _git(self, *arguments: str) -> tuple[list[str], str]:
        """Return the entries of an answer that NUL separates, and why git could not be asked."""
        own = os.path.exists(os.path.join(self._root, ".git"))
        try:
            answer = self._start(arguments)
        except OSError:
            return [], "git is not installed" if own else ""
        if answer.returncode:
            reason = answer.stderr.decode(errors="replace").strip().splitlines()
            why = f"git cannot read the repository: {reason[0] if reason else answer.returncode}"
            return [], why if own else ""
        return [os.fsdecode(entry) for entry in answer.stdout.split(b"\0") if entry], ""

    def _run(self, arguments: tuple[str, ...], data: bytes) -> bytes | None:
        try:
            answer = self._start(arguments, data)
        except OSError:
            return None
        return answer.stdout

    def _start(self, arguments: tuple[str, ...], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        # The checks only read, so it does not matter to whom the folder belongs.
        command = ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", *arguments]
        environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
        environment["GIT_NO_LAZY_FETCH"] = "1"
        return subprocess.run(command, cwd=self._root, env=environment, input=data, capture_output=True, check=False)
