"""Files that are encrypted with a password, opened by a process of their own with bounded time and memory.

A file may ask for any number of iterations, also inside of what is encrypted, so no reader can know before what it costs.
The process gets the password and the file by its standard input, and nothing is written to a disk.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from sipmesh.errors import OperatorError, Problem
from sipmesh.typed_json import UnreadableJsonError, read_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

CPU_SECONDS: Final = 10
"""The CPU time that reading may take: some ten million iterations. Windows and Java write 2,000 to 100,000."""
MEMORY: Final = 1 << 30
"""Octets of address space that reading may take."""

_KEY_BAGS: Final = (bytes.fromhex("060b2a864886f70d010c0a0101"), bytes.fromhex("060b2a864886f70d010c0a0102"))
"""The object identifiers keyBag and pkcs8ShroudedKeyBag (RFC 7292 appendix D), in DER."""
_OLD: Final = (bytes.fromhex("060a2a864886f70d010c0103"), bytes.fromhex("060a2a864886f70d010c0106"))
"""The object identifiers of 3DES and RC2 with 40 bits (RFC 7292 appendix C), in DER."""
_MAIN: Final = "from sipmesh.pki.importing.encrypted_file import main; main()"
REFUSAL: Final = "nothing was imported"


def refused(file: Path, reason: str, remedy: str) -> OperatorError:
    """Return the error for a *file* that is not imported."""
    return OperatorError(REFUSAL, (Problem(file, 0, "", reason, remedy),))


class Fault(StrEnum):
    """Why a file cannot be read."""

    NONE = ""
    PASSWORD = "password"  # noqa: S105 - the name of a fault
    ALGORITHM = "algorithm"
    MALFORMED = "malformed"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Opened:
    """What a file has, in PEM. *key* is empty if there is none."""

    key: str
    certificates: tuple[str, ...]
    fault: Fault


UNREADABLE_KEY: Final = (
    "has a private key that cannot be read, because it is damaged or of another kind than RSA and ECDSA",
    "export it again from the CA; for a CA with a key of ML-DSA, make one of ours below it: sipmesh ca request FILE",
)
_WHY: Final = {
    Fault.PASSWORD: (
        "does not open with this password",
        "type the password with which the file was exported; if it has accents, export the file again with another one",
    ),
    Fault.ALGORITHM: (
        "is encrypted with an algorithm that the library here does not support, such as RC2",
        "export it again with AES: openssl pkcs12 -in FILE -legacy -out all.pem; openssl pkcs12 -export -in all.pem -out NEW",
    ),
    Fault.MALFORMED: ("is damaged", "export it again from the CA"),
    Fault.KEY: UNREADABLE_KEY,
}


def is_pkcs12(content: bytes) -> bool:
    """Tell whether *content* begins as a PKCS #12 file: a SEQUENCE with version 3 (RFC 7292 4)."""
    return content[:1] == b"\x30" and b"\x02\x01\x03\x30" in content[:10]


def has_old_encryption(content: bytes) -> bool:
    """Tell whether a PKCS #12 file is encrypted with 3DES or RC2."""
    return any(identifier in content for identifier in _OLD)


def open_pkcs12(content: bytes, password: str, file: Path) -> Opened:
    """Return what a PKCS #12 file has; raises `OperatorError` that names the mistake."""
    if sum(map(content.count, _KEY_BAGS)) > 1:
        raise refused(file, "has several private keys", "export the CA alone, with one key")
    return _in_process("pkcs12", content, password, file)


def open_key(pem: bytes, password: str, file: Path) -> Opened:
    """Return the key of an encrypted PEM block; raises `OperatorError` that names the mistake."""
    return _in_process("key", pem, password, file)


def _in_process(form: str, content: bytes, password: str, file: Path) -> Opened:
    given = json.dumps({"form": form, "password": password}).encode() + b"\n" + content
    done = subprocess.run(
        (sys.executable, "-c", _MAIN), input=given, capture_output=True, check=False, timeout=10 * CPU_SECONDS
    )
    try:
        found = read_document(Opened, done.stdout)
    except UnreadableJsonError:
        reason = (
            f"takes more than {CPU_SECONDS} s or {MEMORY >> 30} GiB to open: its iteration count is that of an attack"
        )
        raise refused(file, reason, "export it again from the CA") from None
    if found.fault is not Fault.NONE:
        raise refused(file, *_WHY[found.fault])
    return found


def main() -> None:
    """Read a file from the standard input, and write what it has to the standard output."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would have the key
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    first, _, content = sys.stdin.buffer.read().partition(b"\n")
    given = json.loads(first)  # noqa: TID251 - of our own process
    sys.stdout.write(json.dumps(_opened(given["form"], content, given["password"])))


def _opened(form: str, content: bytes, password: str) -> dict[str, object]:
    """Open a file. A key that a wrong password decrypts has a right padding once in 256 times, and looks damaged then."""
    fault = Fault.PASSWORD
    for secret in _spelled(password):
        try:
            return _pkcs12(content, secret) if form == "pkcs12" else _told(load_pem_private_key(content, secret), ())
        except UnsupportedAlgorithm:
            return {"key": "", "certificates": [], "fault": Fault.ALGORITHM}
        except (ValueError, TypeError) as wrong:
            is_password = "password" in str(wrong).lower() or form == "key"
            fault = Fault.PASSWORD if is_password else Fault.KEY if "key data" in str(wrong) else Fault.MALFORMED
    return {"key": "", "certificates": [], "fault": fault}


def _spelled(password: str) -> Iterator[bytes]:
    """Yield the octets of a password. With accents, old programs write Latin-1, or encode UTF-8 once more as BMPString."""
    octets = password.encode()
    yield octets
    if not password.isascii():
        yield password.encode("latin-1", "replace")
        yield octets.decode("latin-1").encode()


def _pkcs12(content: bytes, secret: bytes) -> dict[str, object]:
    found = load_pkcs12(content, secret)
    return _told(found.key, [one.certificate for one in (found.cert, *found.additional_certs) if one is not None])


def _told(key: PrivateKeyTypes | None, certificates: Iterable[x509.Certificate]) -> dict[str, object]:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode() if key else ""
    texts = [one.public_bytes(Encoding.PEM).decode() for one in certificates]
    return {"key": pem, "certificates": texts, "fault": Fault.NONE}
