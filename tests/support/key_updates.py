"""A TLS 1.3 client that writes its records itself after the handshake, such as any number of KeyUpdates (RFC 8446 section 4.6.3).

It has no socket: octets go in and out.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

HASH_OCTETS: Final = 48
HANDSHAKE, APPLICATION_DATA = 22, 23
KEY_UPDATE: Final = b"\x18\x00\x00\x01\x00"
"""The other side is not asked to update its keys too."""


class RecordWriter:
    """One client; *folder* is for the file in which the standard library writes the secrets of the connection."""

    def __init__(self, folder: Path) -> None:
        self._secrets = folder / "secrets"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.keylog_filename = str(self._secrets)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out)
        self._secret, self._number = b"", 0

    def shake_hands(self, octets: bytes) -> bytes:
        """Take what the server has sent, and give what to send; `is_up` tells when it is over."""
        self._in.write(octets)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return self._out.read()
        cipher = self._tls.cipher()
        assert cipher is not None
        assert cipher[0] == "TLS_AES_256_GCM_SHA384"
        lines = [line.split() for line in self._secrets.read_text().splitlines()]
        self._secret = next(bytes.fromhex(line[2]) for line in lines if line[0] == "CLIENT_TRAFFIC_SECRET_0")
        return self._out.read()

    @property
    def is_up(self) -> bool:
        """Whether the handshake is over."""
        return bool(self._secret)

    def key_updates(self, count: int) -> bytes:
        """Give so many KeyUpdates, each in a record of its own and under the keys of the record before."""
        return b"".join(self._key_update() for _ in range(count))

    def _key_update(self) -> bytes:
        octets = self._record(HANDSHAKE, KEY_UPDATE)
        self._secret, self._number = self._expand(b"traffic upd", HASH_OCTETS), 0
        return octets

    def data(self, octets: bytes) -> bytes:
        """Give a record of application data."""
        record = self._record(APPLICATION_DATA, octets)
        self._number += 1
        return record

    def read(self, octets: bytes) -> bytes:
        """Decrypt what the server has sent; empty if no record with data is complete."""
        self._in.write(octets)
        try:
            return self._tls.read(1 << 16)
        except ssl.SSLWantReadError:
            return b""

    def _record(self, content_type: int, content: bytes) -> bytes:
        """Encrypt one record (RFC 8446 section 5.2)."""
        inner = content + bytes([content_type])
        header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
        nonce = int.from_bytes(self._expand(b"iv", 12), "big") ^ self._number
        return header + AESGCM(self._expand(b"key", 32)).encrypt(nonce.to_bytes(12, "big"), inner, header)

    def _expand(self, label: bytes, length: int) -> bytes:
        """Derive from the secret in force (HKDF-Expand-Label, RFC 8446 section 7.1)."""
        label = b"tls13 " + label
        info = length.to_bytes(2, "big") + bytes([len(label)]) + label + b"\x00"
        return HKDFExpand(SHA384(), length, info).derive(self._secret)
