"""Atomic writing of files, and private keys that only their owner can read."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.file_error import file_errors
from sipmesh.pki.keys import passphrase
from sipmesh.pki.keys.algorithm import OwnKey
from sipmesh.pki.tokens.token_key import TokenKey
from sipmesh.regular_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

PUBLIC = 0o644
SECRET = 0o600
NEW_KEY: Final = "revoke the certificate and issue a new certificate"
FOLDER = 0o700
READABLE_FOLDER = 0o755
RSA_BITS = 3072  # as strong as P-256 (NIST SP 800-57 part 1, table 2)
_OTHERS, _OTHERS_WRITE = 0o077, 0o022


def make_readable_folder(folder: Path) -> None:
    """Create *folder* with its parents unless it exists. Only its owner may write there, under each umask: it may hold keys.

    Raises OSError.
    """
    for missing in [one for one in reversed((folder, *folder.parents)) if not one.exists()]:
        missing.mkdir(mode=READABLE_FOLDER, exist_ok=True)


def write(file: Path, content: bytes, mode: int = PUBLIC) -> None:
    """Replace *file* by *content* atomically and durably: readers see the old or the new content, also after a crash.

    Raises `FileError`, and then *file* has its old content.
    """
    commit([prepare(file, content, mode)])


def prepare(file: Path, content: bytes, mode: int) -> Callable[[], None]:
    """Write *content* beside *file*; the returned function moves it there. Other users can never read a key meanwhile.

    Both raise `FileError`. What was written beside *file* is removed, so that it takes no room on a full disk.
    """
    made = beside(file)
    with file_errors(file):
        try:
            _write_beside(made, content, mode)
        except OSError:
            with suppress(OSError):
                made.unlink()
            raise

    def place() -> None:
        with file_errors(file):
            made.replace(file)
            sync_folder(file.parent)

    return place


def beside(file: Path) -> Path:
    """Return where the next content of *file* is until it is moved to its place; a crash can leave it there."""
    return file.with_name(f".{file.name}.new")


def _write_beside(beside: Path, content: bytes, mode: int) -> None:
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as opened:
        os.fchmod(opened.fileno(), mode)  # the umask may have removed bits
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def commit(prepared: list[Callable[[], None]]) -> None:
    """Move prepared files to their places, in order."""
    for place in prepared:
        place()


def sync_folder(folder: Path) -> None:
    """Make the file names in *folder* durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a new ECDSA key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def new_rsa_key() -> rsa.RSAPrivateKey:
    """Make a new RSA key, for phones that support no other."""
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def certificates_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """Give the certificates as PEM, in their order."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def key_pem(key: PrivateKeyTypes) -> bytes:
    """Give the key as PKCS #8 PEM, encrypted if a passphrase is configured. Write it with mode SECRET only.

    Of a key in a token, the URI and the public key are given.

    Raises `OperatorError` if the passphrase cannot be used. Then no key is written without encryption.
    """
    if isinstance(key, TokenKey):
        return key.reference
    secret = passphrase.to_encrypt_with()
    how = NoEncryption() if secret is None else BestAvailableEncryption(secret)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


def is_encrypted(pem: bytes) -> bool:
    """Tell whether a PEM private key is encrypted; raises ValueError or UnsupportedAlgorithm if it is not a key."""
    if TokenKey.is_in(pem):
        return False
    try:
        load_pem_private_key(pem, password=None)
    except TypeError:  # the library asks for a password
        return True
    return False


def open_key(file: Path, pem: bytes) -> PrivateKeyTypes:
    """Read the private key *pem*, the content of *file*, with the configured passphrase if it is encrypted.

    Raises ValueError or UnsupportedAlgorithm if it is not a key, and `OperatorError` if the passphrase is missing or wrong.
    """
    if TokenKey.is_in(pem):
        return TokenKey.read(pem)
    if not is_encrypted(pem):
        return load_pem_private_key(pem, password=None)
    where = passphrase.source()
    if where is None:
        raise _unusable(file, "is encrypted, and no passphrase is configured", passphrase.HOW)
    try:
        return load_pem_private_key(pem, passphrase.read(where))
    except ValueError:
        remedy = "write the passphrase of this key there, or restore the key from your backup"
        raise _unusable(file, f"is encrypted with a passphrase that is not in {where}", remedy) from None


def read_private(file: Path) -> bytes:
    """Read a file with a private key; raises `OperatorError` if users other than its owner can read or write it.

    The mode is that of the opened file, so a symbolic link is followed. The owner is not checked: with this mode the file is
    our own, or we run as root.
    """
    try:
        with open_regular(file) as opened:
            _must_be_private(file, stat.S_IMODE(os.fstat(opened.fileno()).st_mode))
            return opened.read()
    except PermissionError:
        remedy = f"the file belongs to {_owner(file)}: run sipmesh as that user, or change the owner (chown)"
        raise _unusable(file, "cannot be read (Permission denied)", remedy) from None
    except OSError as wrong:
        remedy = "restore it from your backup, or install the key of the certificate"
        raise _unusable(file, f"cannot be read ({wrong.strerror})", remedy) from None


def must_be_private(secrets: Iterable[Path], otherwise: str = NEW_KEY) -> None:
    """Raise `OperatorError` for the first existing file of *secrets* that users other than its owner can read or write.

    *otherwise* is what to do if they may have read it.
    """
    for file in secrets:
        with suppress(OSError):  # the code that needs a missing file reports it
            _must_be_private(file, stat.S_IMODE(file.stat().st_mode), otherwise)


def keep_private(folder: Path) -> Sequence[Path]:
    """Take from other users the right to write to *folder* and to the files in it; return what they could write to.

    They could put files of theirs in the place of ours, or change ours. Symbolic links are left as they are. Raises
    `OperatorError` if a file belongs to another user.
    """
    found = []
    for path in others_can_write_to(folder):
        with suppress(FileNotFoundError):  # another process of ours has removed it
            _take_from_others(path, stat.S_IMODE(path.lstat().st_mode))
            found.append(path)
    return found


def others_can_write_to(folder: Path) -> Iterator[Path]:
    """Yield *folder* and each file and folder in it to which other users can write; symbolic links are left out."""
    for path in (folder, *sorted(folder.rglob("*"))):
        with suppress(FileNotFoundError):
            mode = path.lstat().st_mode
            if mode & _OTHERS_WRITE and (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                yield path


def _take_from_others(path: Path, mode: int) -> None:
    try:
        path.chmod(mode & ~_OTHERS)
    except FileNotFoundError:
        raise
    except OSError as wrong:
        reason = f"can be written by other users ({wrong.strerror})"
        problem = Problem(path, 0, "", reason, f"as {_owner(path)}: chmod go= {path}")
        raise OperatorError("a folder of a server is not private", (problem,)) from None


def _must_be_private(file: Path, mode: int, otherwise: str = NEW_KEY) -> None:
    if mode & _OTHERS:
        remedy = f"run `chmod 600 {file}`; if other users may have read it, {otherwise}"
        raise _unusable(file, f"has mode {mode:04o}: users other than its owner can read or write it", remedy)


def _owner(file: Path) -> str:
    try:
        return file.owner()
    except (OSError, KeyError):
        return "another user"


def read_key(file: Path) -> OwnKey:
    """Read a private key of ours; raises OperatorError if it is neither ECDSA nor ML-DSA-44, or if other users can read it."""
    try:
        key = open_key(file, read_private(file))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unusable(file, "contains no readable private key", "restore it from your backup") from None
    if not isinstance(key, OwnKey):
        raise _unusable(
            file, "is neither an ECDSA key nor one of ML-DSA-44", "restore the CA's own key from your backup"
        )
    return key


def _unusable(file: Path, reason: str, remedy: str) -> OperatorError:
    return OperatorError("a private key cannot be used", (Problem(file, 0, "", reason, remedy),))
