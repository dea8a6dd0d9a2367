"""Who signs calls of a provider (STIR/SHAKEN): a root, certificates for numbers or for a provider, and tokens."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sipmesh.demo.forge import Forge, Forged, Wish
from sipmesh.sip import base64url
from sipmesh.trust.x509.number_scope import TN_AUTH_LIST


def _der(tag: int, content: bytes) -> bytes:
    return bytes((tag, len(content))) + content


def code(text: str = "1234") -> bytes:
    """A service provider code."""
    return _der(0xA0, _der(0x16, text.encode()))


def one(number: str) -> bytes:
    """One number."""
    return _der(0xA2, _der(0x16, number.encode()))


def numbers_from(start: str, count: int) -> bytes:
    """So many numbers from *start* on."""
    inside = _der(0x16, start.encode()) + _der(0x02, count.to_bytes(count.bit_length() // 8 + 1, "big"))
    return _der(0xA1, _der(0x30, inside))


def scope(*entries: bytes) -> x509.UnrecognizedExtension:
    """The extension TNAuthList."""
    return x509.UnrecognizedExtension(TN_AUTH_LIST, _der(0x30, b"".join(entries)))


@dataclass
class NumberSigner:
    """A root, and signers below it."""

    forge: Forge = field(default_factory=lambda: Forge(datetime.now(UTC)))
    root: Forged = field(init=False)

    def __post_init__(self) -> None:
        self.root = self.forge.root("STI root")

    def signer(self, *entries: bytes, **changes: Any) -> Forged:
        """A certificate for *entries*, by default those of a provider."""
        extra = (scope(*(entries or (code(),))),)
        wish = Wish("SHAKEN 1234", usages=(), extra=extra, ends=timedelta(days=30))
        return self.forge.forge(wish, self.root, **changes)


def token(  # a token has so many parts
    signer: Forged,
    url: str,
    orig: str,
    dest: str,
    *,
    at: float = 0.0,
    header: dict[str, Any] | None = None,
    claims: dict[str, Any] | None = None,
    info: str = "",
) -> str:
    """The value of an Identity field. *header* and *claims* change its parts; *at* is in seconds from now."""
    head = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": url, **(header or {})}
    body = {
        "attest": "A",
        "dest": {"tn": [dest.removeprefix("+")]},
        "iat": int(time.time() + at),
        "orig": {"tn": orig.removeprefix("+")},
        "origid": "0b1e5ce6-0a9b-4d5c-9d1c-000000000001",
        **(claims or {}),
    }
    parts = [json.dumps(part, sort_keys=True, separators=(",", ":")).encode() for part in (head, body)]
    signed = ".".join(map(base64url.encode, parts))
    key = signer.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    octets = b"" if head["alg"] == "none" else r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return f'{signed}.{base64url.encode(octets)};info=<{info or url}>;alg={head["alg"]};ppt="{head["ppt"]}"'
