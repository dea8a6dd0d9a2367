"""One log of Certificate Transparency in the document."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pydantic import AfterValidator, AwareDatetime, Field

from sipmesh.topology.document.parts.part import Part
from sipmesh.trust.transparency.ct_log import CtLog
from sipmesh.trust.x509.certificate import UNREADABLE


def _log_key(text: str) -> str:
    """Check the key of a log: a SubjectPublicKeyInfo with an EC or RSA key, in base64, as log lists have it."""
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (binascii.Error, *UNREADABLE):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise ValueError("is not the key of a log: copy `key` from the log list, or run sipmesh partner logs FILE")  # noqa: TRY004
    return text


class CtLogEntry(Part):
    """A log whose SCTs count."""

    operator: str = Field(min_length=1, max_length=100, description="who runs the log, as the log list names it")
    key: Annotated[str, AfterValidator(_log_key)] = Field(max_length=2000, description="its public key in base64")
    until: AwareDatetime | None = Field(default=None, description="when it was retired: later SCTs do not count")

    @property
    def log(self) -> CtLog:
        """The log for the judge."""
        until: datetime | None = self.until
        return CtLog(self.operator, base64.b64decode(self.key), until)
