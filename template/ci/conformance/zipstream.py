"""A zip reader for streams: what is in a jar, without its index and without going back.

Members are told from the headers before them. What cannot be followed that way, such as
an encrypted member of unknown size, ends the reading: it is looked for, not proven.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Generator, Iterator

ARCHIVE = b"PK\x03\x04"

_INDEX = b"PK\x01\x02"
_DESCRIPTOR = b"PK\x07\x08"
_STORED, _DEFLATED = 0, 8
_CHUNK = 64 << 10
_BEGIN = 64


class _Bytes:
    """Reads ahead over pieces, and takes back what was read too far."""

    def __init__(self, pieces: Iterator[memoryview]) -> None:
        self._pieces = pieces
        self._rest = b""

    def some(self, most: int) -> bytes:
        """Return at least one byte, or none at the end."""
        if not self._rest:
            self._rest = bytes(next(self._pieces, b""))
        taken, self._rest = self._rest[:most], self._rest[most:]
        return taken

    def read(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size and (part := self.some(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def skip(self, size: int) -> None:
        while size and (part := self.some(min(size, _CHUNK))):
            size -= len(part)

    def back(self, data: bytes) -> None:
        self._rest = data + self._rest


def members(
    pieces: Iterator[memoryview], spend: Callable[[int], None]
) -> Iterator[tuple[str, bytes, Iterator[memoryview]]]:
    """Yield name, first bytes and the rest of every member; what is not read of it is passed over."""
    source = _Bytes(pieces)
    while source.read(4) == ARCHIVE:
        header = source.read(26)
        if len(header) < 26:
            return
        _, flags, method, _, _, _, packed, size, name_size, extra_size = struct.unpack("<HHHHHIIIHH", header)
        name = source.read(name_size).decode("utf-8", "replace")
        packed = _long(source.read(extra_size), packed, size)
        open_end = bool(flags & 8)
        if flags & 1 or method not in (_STORED, _DEFLATED):
            if open_end:
                return
            source.skip(packed)
            continue
        if method == _STORED and open_end and not packed:
            return
        content = _stored(source, packed) if method == _STORED else _inflated(source, packed, open_end, spend)
        begin = b""
        for part in content:
            begin += part
            if len(begin) >= _BEGIN:
                break
        yield name, begin, (memoryview(part) for part in content)
        if open_end and method == _DEFLATED:
            for _ in content:  # where it ends is found by reading it
                pass
        content.close()
        if open_end:
            _pass_descriptor(source)


def _long(extra: bytes, packed: int, size: int) -> int:
    """The packed size, which a large member has in an extra field."""
    while packed == 0xFFFFFFFF and len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == 1 and length >= 8 + 8 * (size == 0xFFFFFFFF):
            value: int = struct.unpack_from("<Q", extra, 4 + 8 * (size == 0xFFFFFFFF))[0]
            return value
        extra = extra[4 + length :]
    return packed


def _stored(source: _Bytes, size: int) -> Generator[bytes, None, None]:
    try:
        while size and (part := source.some(min(size, _CHUNK))):
            size -= len(part)
            yield part
    finally:
        source.skip(size)


def _inflated(source: _Bytes, size: int, open_end: bool, spend: Callable[[int], None]) -> Generator[bytes, None, None]:
    inflate = zlib.decompressobj(-15)
    left = -1 if open_end else size
    try:
        while left and not inflate.eof and (part := source.some(_CHUNK if left < 0 else min(left, _CHUNK))):
            left -= len(part) if left > 0 else 0
            while part and not inflate.eof:
                output = inflate.decompress(part, 4 * _CHUNK)
                part = inflate.unconsumed_tail
                spend(len(output))
                if output:
                    yield output
        if open_end:
            source.back(inflate.unused_data)
    except zlib.error:
        pass
    finally:
        if not open_end:
            source.skip(left)


def _pass_descriptor(source: _Bytes) -> None:
    """Behind a member of unknown size stand its sum and sizes, in one of four forms."""
    data = source.read(24)
    for size in (16, 24, 12, 20):
        signed = size in (16, 24)
        if data.startswith(_DESCRIPTOR) == signed and data[size : size + 4] in (ARCHIVE, _INDEX, b""):
            source.back(data[size:])
            return
    source.back(data[16 if data.startswith(_DESCRIPTOR) else 12 :])
