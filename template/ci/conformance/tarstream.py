"""A tar reader that never seeks, never extracts and trusts nothing.

`tarfile` keeps every member and reads header extensions of any size into
memory. Layers come from anywhere, so this reader bounds both.

Where tar readers disagree about a name or a size, this one does as Go's
archive/tar, with which container engines unpack; else a layer could show it
other files than it puts into the container.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .model import Unusable, printable

BLOCK = 512
MAX_EXTENSION = 1 << 20

FILE, HARDLINK, SYMLINK, CHAR, BLOCK_DEVICE, DIRECTORY, FIFO, GLOBAL = [
    "file",
    "link",
    "symlink",
    "char",
    "block",
    "dir",
    "fifo",
    "global",
]

_KINDS = {
    b"0": FILE,
    b"\0": FILE,
    b"7": FILE,
    b"1": HARDLINK,
    b"2": SYMLINK,
    b"3": CHAR,
    b"4": BLOCK_DEVICE,
    b"5": DIRECTORY,
    b"6": FIFO,
    b"g": GLOBAL,
}

# Engines ignore these in a global header; other readers apply them to all that follows.
_NOT_GLOBAL = frozenset({"path", "linkpath", "size", "uid", "gid"})


@dataclass
class Entry:
    """One member of an archive."""

    name: str
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    link: str
    capabilities: bool = False


class ByteStream:
    """Exact reads over an iterator of chunks."""

    def __init__(self, chunks: Iterator[bytes], what: str) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")
        self.what = what

    def take(self, size: int) -> Iterator[memoryview]:
        """Yield exactly `size` bytes in pieces, or fail."""
        while size:
            if not self._rest:
                chunk = next(self._chunks, None)
                if chunk is None:
                    raise Unusable(f"{self.what} is truncated")
                self._rest = memoryview(chunk)
            piece = self._rest[:size]
            self._rest = self._rest[len(piece) :]
            size -= len(piece)
            yield piece

    def read(self, size: int) -> bytes:
        return b"".join(self.take(size))

    def read_block(self) -> bytes | None:
        """Return the next block, or None at the end of the stream."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return None
            self._rest = memoryview(chunk)
        return self.read(BLOCK)

    def skip(self, size: int) -> None:
        for _ in self.take(size):
            pass

    def drain(self) -> None:
        """Read to the end, so that whoever watches the chunks has seen them all."""
        self._rest = memoryview(b"")
        for _ in self._chunks:
            pass


class FileStream(ByteStream):
    """A stream over a file that skips by seeking and knows where it is."""

    def __init__(self, file: BinaryIO, size: int, what: str) -> None:
        super().__init__(iter(lambda: file.read(64 * BLOCK), b""), what)
        self._file = file
        self._size = size

    @property
    def offset(self) -> int:
        return self._file.tell() - len(self._rest)

    def skip(self, size: int) -> None:
        target = self.offset + size
        if target > self._size:
            raise Unusable(f"{self.what} is truncated")
        if size <= len(self._rest):
            self._rest = self._rest[size:]
        else:
            self._rest = memoryview(b"")
            self._file.seek(target)


class Content:
    """What is left to read of one member."""

    def __init__(self, stream: ByteStream, size: int) -> None:
        self._stream = stream
        self._left = size

    def __iter__(self) -> Iterator[memoryview]:
        for piece in self._stream.take(self._left):
            self._left -= len(piece)
            yield piece

    def skip(self) -> None:
        left, self._left = self._left, 0
        self._stream.skip(left)


def entries(stream: ByteStream) -> Iterator[tuple[Entry, Content]]:
    """Yield every member with an iterator over its content.

    A global header is a member as well, without content: engines see it so.

    Raises:
        Unusable: the archive is damaged, or something readers disagree about.
    """
    pax: dict[str, bytes] = {}
    gnu: dict[str, bytes] = {}  # wins over PAX, whichever comes first
    while True:
        header = stream.read_block()
        if header is None or not header.strip(b"\0"):
            return
        _verify_checksum(header, stream.what)
        size = _number(header[124:136], stream.what)
        typeflag = header[156:157]
        if typeflag in b"xgLK":
            if size > MAX_EXTENSION:
                raise Unusable(f"{stream.what} has a header extension of {size} bytes")
            data = stream.read(size)
            stream.skip(-size % BLOCK)
            if typeflag == b"x":
                pax = _pax_records(data, stream.what)
            elif typeflag == b"g":
                wrong = sorted(_NOT_GLOBAL.intersection(_pax_records(data, stream.what)))
                if wrong:
                    raise Unusable(f"{stream.what} has a global header with {wrong[0]}, on which readers disagree")
                pax, gnu = {}, {}
                yield _entry(header, typeflag, 0, {}, stream.what), Content(stream, 0)
            else:
                gnu = _filled({**gnu, "path" if typeflag == b"L" else "linkpath": _until_nul(data)})
            continue
        if typeflag == b"S":
            raise Unusable(f"{stream.what} has a sparse file, which image layers do not use")
        entry = _entry(header, typeflag, size, {**pax, **gnu}, stream.what)
        pax, gnu = {}, {}
        stored = entry.size if entry.kind == FILE else 0
        content = Content(stream, stored)
        yield entry, content
        content.skip()
        stream.skip(-stored % BLOCK)


def _entry(header: bytes, typeflag: bytes, size: int, pax: dict[str, bytes], what: str) -> Entry:
    name = pax.get("path") or _name(header, what)
    kind = DIRECTORY if typeflag == b"\0" and name.endswith(b"/") else _KINDS.get(typeflag, FILE)
    link = pax.get("linkpath", _until_nul(header[157:257]))
    return Entry(
        name=_text(name),
        kind=kind,
        mode=_number(header[100:108], what) & 0o7777,
        uid=_pax_number(pax, "uid", header[108:116], what),
        gid=_pax_number(pax, "gid", header[116:124], what),
        size=_pax_number(pax, "size", b"", what) if "size" in pax else size,
        link=_text(link),
        capabilities="SCHILY.xattr.security.capability" in pax,
    )


def _name(header: bytes, what: str) -> bytes:
    """Return the header's own name, with the folder that most formats keep apart from it."""
    name, prefix = _until_nul(header[:100]), b""
    if header[257:263] == b"ustar\0":
        prefix = _until_nul(header[345 : 476 if header[508:] == b"tar\0" else 500])
    elif header[257:265] == b"ustar  \0" and header[345:369].strip(b"\0"):
        for field in (header[345:357], header[357:369]):
            _number(field, what)  # two times; Go takes anything else for a folder
    return prefix + b"/" + name if prefix else name


def _until_nul(raw: bytes) -> bytes:
    return raw.split(b"\0", 1)[0]


def _filled(records: dict[str, bytes]) -> dict[str, bytes]:
    """Leave out empty values: with those, what the header says counts."""
    return {key: value for key, value in records.items() if value}


def _text(raw: bytes) -> str:
    if b"\0" in raw:
        raise Unusable(f"the archive has a name with a NUL byte: {printable(_decode(raw))}")
    return _decode(raw)


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _number(field: bytes, what: str) -> int:
    if field[:1] in (b"\x80", b"\xff"):
        value = int.from_bytes(field[1:], "big")
        if field[0] == 0xFF or value >= 1 << 63:
            raise Unusable(f"{what} has a header with an impossible number")
        return value
    value = _octal(field)
    if value < 0:
        raise Unusable(f"{what} has a header with an impossible number")
    return value


def _octal(field: bytes) -> int:
    """Return the number, or -1 if it is none; `int` alone takes signs, `_` and `0o` as well."""
    digits = _until_nul(field.strip(b" \0"))
    return -1 if digits.strip(b"01234567") else int(digits or b"0", 8)


def _pax_number(pax: dict[str, bytes], key: str, field: bytes, what: str) -> int:
    if key not in pax:
        return _number(field, what)
    if not pax[key].isdigit() or len(pax[key]) > 18:
        raise Unusable(f"{what} has a header with an impossible number")
    return int(pax[key])


def _verify_checksum(header: bytes, what: str) -> None:
    expected = _octal(header[148:156])
    actual = sum(header) - sum(header[148:156]) + 8 * 32
    if actual != expected:
        signed = actual - 256 * sum(byte > 127 for byte in header[:148] + header[156:])
        if signed != expected:
            raise Unusable(f"{what} is not a tar archive, or is corrupt")


def _pax_records(data: bytes, what: str) -> dict[str, bytes]:
    """Return the records that have a value; of several with one key the last one counts."""
    records: dict[str, bytes] = {}
    while data:
        length, space, _ = data[:20].partition(b" ")
        if not space or not length.isdigit():
            break
        end = int(length)
        record = data[len(length) + 1 : end]
        key, equals, value = record.partition(b"=")
        if end <= len(length) or end > len(data) or not equals or not value.endswith(b"\n"):
            break
        records[_decode(key)] = value[:-1]
        data = data[end:]
    if data.strip(b"\0"):
        raise Unusable(f"{what} has a damaged extended header")
    if any(key.startswith("GNU.sparse") for key in records):
        raise Unusable(f"{what} has a sparse file, which image layers do not use")
    return _filled(records)
