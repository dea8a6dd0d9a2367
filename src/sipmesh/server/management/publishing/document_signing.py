"""Signing as a management server, with a certificate for this use only; a bad signature is found at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError, Problem, RemoteError
from sipmesh.pki import files
from sipmesh.server.replication.document_store import verify_signer
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import FENCING, open_signed, sign

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView


def sign_as(server: ServerView, payload: bytes, kind: str, at: datetime, fencing: int = 0) -> bytes:
    """Return a signed document of *kind*, with the *fencing* number under which *server* leads.

    Raises `OperatorError` if the signer is missing, or servers would refuse it.
    """
    certificate, key_file = server.signer
    remedy = f"sipmesh ca issue {server.name}"
    try:
        chain = tuple(read_certificates(certificate))
    except UnusableFileError as wrong:
        raise OperatorError(
            "the topology cannot be signed", (Problem(certificate, 0, "", str(wrong), remedy),)
        ) from None
    more = {FENCING: fencing} if fencing else {}
    signed = sign(payload, kind, chain, files.read_key(key_file), **more)
    try:
        verify_signer(open_signed(signed, kind), server.loaded, at)
    except RemoteError as wrong:
        problem = Problem(certificate, 0, "", str(wrong), remedy)
        raise OperatorError("servers would reject a document that is signed now", (problem,)) from None
    return signed


def must_accept_signer(new: Loaded, signed: bytes, kind: str, server: ServerView, at: datetime) -> None:
    """Raise `OperatorError` if servers with the version *new* in force would reject a later document of the same signer.

    Then no operator could publish any more, nor repair it: each server would refuse the certificates of our CA. The signer's name
    may be missing in *new*: another management server signs the next version, under the same CA.
    """
    try:
        verify_signer(open_signed(signed, kind), new, at, beside=server.name)
    except RemoteError as wrong:
        remedy = "name the roots and CRLs of our CA as the version in force does; --force does not help"
        problem = Problem(new.file, 0, "authority", str(wrong), remedy)
        raise OperatorError("no version could follow this one, so it is not published", (problem,)) from None
