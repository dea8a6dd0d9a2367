"""A client of a TURN server, as little as it takes to be refused: Allocate and CreatePermission (RFC 8656, RFC 8489)."""

from __future__ import annotations

import hmac
import os
import socket
import struct
from hashlib import md5
from typing import Self

PATIENCE_S = 10.0
COOKIE = 0x2112A442
ALLOCATE, CREATE_PERMISSION = 0x0003, 0x0008
USERNAME, INTEGRITY, ERROR, PEER, REALM, NONCE, TRANSPORT = 0x0006, 0x0008, 0x0009, 0x0012, 0x0014, 0x0015, 0x0019
UDP = bytes([17, 0, 0, 0])
IPV4 = 1
HEADER, ATTRIBUTE = struct.Struct("!HHI12s"), struct.Struct("!HH")
INTEGRITY_BYTES = 24
CLASS = 0x0110
REFUSED = 0x0110

Attributes = dict[int, bytes]


class TurnClient:
    """One client with a user name and a password. Each method gives 200, or the code of the error."""

    def __init__(self, address: tuple[str, int], name: str, password: str) -> None:
        self._name, self._password = name, password
        self._realm = self._nonce = b""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def allocate(self) -> int:
        """Ask for an address of the relay. The first request has no credentials, and gets realm and nonce."""
        _, challenge = self._ask(ALLOCATE, {TRANSPORT: UDP})
        self._realm, self._nonce = challenge[REALM], challenge[NONCE]
        return self._ask(ALLOCATE, {TRANSPORT: UDP})[0]

    def permit(self, address: str) -> int:
        """Ask to send to *address*, and to receive from it. Nothing is sent to it."""
        host = int.from_bytes(socket.inet_aton(address)) ^ COOKIE
        peer = struct.pack("!BBHI", 0, IPV4, 9 ^ (COOKIE >> 16), host)
        return self._ask(CREATE_PERMISSION, {PEER: peer})[0]

    def _ask(self, method: int, attributes: Attributes) -> tuple[int, Attributes]:
        transaction = os.urandom(12)
        self._socket.send(self._written(method, transaction, attributes))
        answer = self._socket.recv(2048)
        kind, _, _, same = HEADER.unpack_from(answer)
        assert same == transaction
        found = _read(answer[HEADER.size :])
        if kind & CLASS != REFUSED:
            return 200, found
        return found[ERROR][2] * 100 + found[ERROR][3], found

    def _written(self, method: int, transaction: bytes, attributes: Attributes) -> bytes:
        login = {USERNAME: self._name.encode(), REALM: self._realm, NONCE: self._nonce} if self._nonce else {}
        body = b"".join(
            ATTRIBUTE.pack(kind, len(value)) + _padded(value) for kind, value in (attributes | login).items()
        )
        if not login:
            return HEADER.pack(method, len(body), COOKIE, transaction) + body
        signed = HEADER.pack(method, len(body) + INTEGRITY_BYTES, COOKIE, transaction) + body
        key = md5(f"{self._name}:{self._realm.decode()}:{self._password}".encode()).digest()  # noqa: S324 - RFC 8489 9.2.2
        return signed + ATTRIBUTE.pack(INTEGRITY, 20) + hmac.digest(key, signed, "sha1")


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def _read(octets: bytes) -> Attributes:
    found: Attributes = {}
    while len(octets) >= ATTRIBUTE.size:
        kind, size = ATTRIBUTE.unpack_from(octets)
        found[kind] = octets[ATTRIBUTE.size : ATTRIBUTE.size + size]
        octets = octets[ATTRIBUTE.size + size + -size % 4 :]
    return found
