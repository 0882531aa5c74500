"""A Java keystore of certificate authorities, written without a JDK."""

from __future__ import annotations

import base64
import hashlib
import re
import struct

PASSWORD = "changeit"


def keystore(bundle: str) -> bytes:
    """The JKS file that holds the certificates of a PEM bundle."""
    certificates = [
        base64.b64decode(body)
        for body in re.findall(
            r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", bundle, re.S
        )
    ]
    out = struct.pack(">III", 0xFEEDFEED, 2, len(certificates))
    for number, certificate in enumerate(certificates, 1):
        # A trusted certificate is entry type 2: alias, date, type, bytes.
        out += struct.pack(">I", 2) + _text(f"authority-{number:04}") + struct.pack(">Q", 0)
        out += _text("X.509") + struct.pack(">I", len(certificate)) + certificate
    salt = PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite"
    return out + hashlib.sha1(salt + out).digest()


def _text(value: str) -> bytes:
    return struct.pack(">H", len(value)) + value.encode()
