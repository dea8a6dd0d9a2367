"""A certificate and its key, in two files that are replaced together. A crash between the two is repaired at the next start."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki import files
from sipmesh.regular_file import read_regular
from sipmesh.trust.x509.certificate import UNREADABLE

if TYPE_CHECKING:
    from pathlib import Path


def write_pair(certificate: Path, chain: bytes, key_file: Path, key: bytes) -> None:
    """Replace the *chain* in the file *certificate* and its *key*, both in PEM: the key first, with mode 0600.

    What was there is lost: call `must_be_a_pair` before, where the topology names the files.
    """
    files.commit([files.prepare(key_file, key, files.SECRET), files.prepare(certificate, chain, files.PUBLIC)])


def must_be_a_pair(certificate: Path, key_file: Path) -> None:
    """Raise `OperatorError` if *key_file* has anything but the key of the certificate that is replaced with it.

    A key of something else, such as that of a CA, would be lost. `write_pair` may have ended between the two files. Raises the
    error of a key that cannot be read, such as one whose passphrase is missing.
    """
    if not key_file.exists():
        return
    files.open_key(key_file, files.read_private(key_file))
    if False in {differ(certificate, key_file), differ(files.beside(certificate), key_file)}:
        return
    reason = f"is not the key of the certificate in {certificate}, and only that key is replaced"
    remedy = f"name the file of its own key in the topology; or remove {key_file}, if nothing needs this key"
    raise OperatorError("the key is not replaced", (Problem(key_file, 0, "", reason, remedy),))


def finish_pair(certificate: Path, key_file: Path) -> bool:
    """Put the certificate of the key in *key_file* in its place, if `write_pair` ended between the two; return whether it did.

    Several processes may do so at once, also while another one is between the two: it finds its file where it was.
    """
    waiting = files.beside(certificate)
    if not differ(certificate, key_file) or differ(waiting, key_file) is not False:
        return False
    linked = certificate.with_name(f".{certificate.name}.{os.getpid()}")
    with suppress(FileNotFoundError, FileExistsError):
        linked.hardlink_to(waiting)
        linked.replace(certificate)
        files.sync_folder(certificate.parent)
    return True


def differ(certificate: Path, key_file: Path) -> bool | None:
    """Tell whether the key is not that of the first certificate; None if one of the two files cannot be read."""
    try:
        leaf = x509.load_pem_x509_certificates(read_regular(certificate))[0].public_key()
        key = files.open_key(key_file, files.read_private(key_file)).public_key()
    except (OSError, TypeError, OperatorError, *UNREADABLE):
        return None
    return leaf != key
