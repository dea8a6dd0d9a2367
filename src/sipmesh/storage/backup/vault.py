"""One encrypted file: a stream in chunks, each authenticated in its place, under a key that is derived from a passphrase.

The header has the parameters of scrypt (RFC 7914) and the prefix of all nonces. Each chunk of 1 MiB is encrypted by AES-256-GCM.
Its nonce is the prefix, the number of the chunk, and whether it is the last one; the header is authenticated with each chunk. So
a chunk that was changed, removed, moved or taken from another file does not open. A file that was truncated between two chunks
does not open either. This is the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár (2015). Data is authenticated
before it is returned. But a truncation shows only at the end of the stream: a reader must not act on the data before that.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from typing_extensions import Buffer

CHUNK: Final = 1 << 20
TAG: Final = 16
ENTROPY_BYTES: Final = 16 + 7
"""Octets that a new vault needs: a salt, and the prefix of its nonces."""

_MAGIC: Final = b"sipmesh-vault-1\n"
_HEADER: Final = struct.Struct(f"!{len(_MAGIC)}sBBB16s7s")
_NONCE: Final = struct.Struct("!7sIB")
_LOG_N, _R, _P = 17, 8, 1  # 128 MiB and a third of a second for each guess
_MOST_LOG_N, _MOST_R, _MOST_P = 18, 8, 4  # a header with larger parameters would only waste our time and memory
SHORTEST_PASSPHRASE: Final = 12


class VaultError(OperatorError):
    """The file is not a vault, or was changed or truncated, or the passphrase is wrong."""


@dataclass(frozen=True, slots=True)
class _Header:
    log_n: int
    r: int
    p: int
    salt: bytes
    prefix: bytes

    @classmethod
    def read(cls, stream: IO[bytes]) -> Self:
        content = stream.read(_HEADER.size)
        if len(content) < _HEADER.size or not content.startswith(_MAGIC):
            raise VaultError("this is not a backup of sipmesh, or its beginning was changed")
        header = cls(*_HEADER.unpack(content)[1:])
        if not (1 <= header.log_n <= _MOST_LOG_N and 1 <= header.r <= _MOST_R and 1 <= header.p <= _MOST_P):
            raise VaultError("the header of this backup was changed: its key derivation exceeds the limits of sipmesh")
        return header

    def encode(self) -> bytes:
        return _HEADER.pack(_MAGIC, self.log_n, self.r, self.p, self.salt, self.prefix)

    def key(self, passphrase: str) -> AESGCM:
        derived = Scrypt(salt=self.salt, length=32, n=1 << self.log_n, r=self.r, p=self.p)
        return AESGCM(derived.derive(passphrase.encode("utf-8", "surrogateescape")))

    def nonce(self, number: int, *, last: bool) -> bytes:
        return _NONCE.pack(self.prefix, number, last)


class Sealing(io.RawIOBase):
    """A stream to write to; `finish` completes the vault, and an unfinished vault does not open."""

    def __init__(self, stream: IO[bytes], passphrase: str, entropy: bytes, *, log_n: int = _LOG_N) -> None:
        """Start a vault in *stream*; *entropy* are `ENTROPY_BYTES` random octets, which must not be used twice.

        Raises `OperatorError` for a passphrase of fewer than `SHORTEST_PASSPHRASE` characters.
        """
        if len(passphrase) < SHORTEST_PASSPHRASE:
            raise OperatorError(
                f"the passphrase is too short; a backup contains every key: use {SHORTEST_PASSPHRASE} characters or more, "
                "such as six words"
            )
        self._header = _Header(log_n, _R, _P, entropy[:16], entropy[16:ENTROPY_BYTES])
        self._stream, self._key = stream, self._header.key(passphrase)
        self._waiting, self._number = bytearray(), 0
        stream.write(self._header.encode())

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Buffer) -> int:
        """Accept *data*, and write each full chunk; at least one octet stays for the last chunk."""
        given = memoryview(data).cast("B")
        self._waiting += given
        while len(self._waiting) > CHUNK:
            self._seal(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return len(given)

    def finish(self) -> None:
        """Write the last chunk, which may be empty."""
        self._seal(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        nonce = self._header.nonce(self._number, last=last)
        self._stream.write(self._key.encrypt(nonce, chunk, self._header.encode()))
        self._number += 1


class Opened(io.RawIOBase):
    """The stream in a vault, to be read from its start to its end."""

    def __init__(self, stream: IO[bytes], passphrase: str) -> None:
        """Start to read; raises `VaultError` for a file that is not a vault."""
        self._header = _Header.read(stream)
        self._stream, self._key = stream, self._header.key(passphrase)
        self._number, self._ended = 0, False
        self._plain, self._ahead = b"", stream.read(CHUNK + TAG)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill *buffer* from the present chunk; return 0 at the authenticated end of the stream.

        Raises `VaultError` for a chunk that does not open.
        """
        if not self._plain and not self._ended:
            self._open()
        into = memoryview(buffer).cast("B")
        count = min(len(into), len(self._plain))
        into[:count], self._plain = self._plain[:count], self._plain[count:]
        return count

    def _open(self) -> None:
        """Open the next chunk; it is the last one if nothing follows it, and was encrypted as the last one."""
        sealed, self._ahead = self._ahead, self._stream.read(CHUNK + TAG)
        self._ended = not self._ahead
        nonce = self._header.nonce(self._number, last=self._ended)
        try:
            self._plain = self._key.decrypt(nonce, sealed, self._header.encode())
        except (InvalidTag, ValueError):  # ValueError: too short to hold a tag
            why = "the passphrase is wrong, or" if self._number == 0 else "the passphrase is right, but"
            raise VaultError(f"the backup cannot be opened: {why} the file was changed or truncated") from None
        self._number += 1
