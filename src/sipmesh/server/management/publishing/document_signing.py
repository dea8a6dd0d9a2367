"""Signing as a management server, with a certificate that is used for nothing else; a bad signature is found at once."""

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
