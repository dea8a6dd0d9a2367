"""A private key in a token, as a value that signs like each other key. Its file has the URI and the public key, and no secret."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from sipmesh.errors import LocalError
from sipmesh.pki.tokens.token import Token
from sipmesh.pki.tokens.token_uri import SCHEME, TokenUri

if TYPE_CHECKING:
    from cryptography.hazmat.primitives import hashes

_BEGIN: Final = SCHEME.encode()


class TokenKey(ec.EllipticCurvePrivateKey):
    """The key that *uri* names, whose public key is *public*. Only a signature asks the token."""

    def __init__(self, uri: TokenUri, public: ec.EllipticCurvePublicKey) -> None:
        self.uri, self._public = uri, public

    @classmethod
    def generate(cls, token: TokenUri, label: str, curve: ec.EllipticCurve) -> TokenKey:
        """Make a key in a token, under a *label*; raises `OperatorError`."""
        uri = replace(token, object=label, id=secrets.token_hex(8))
        return cls(uri, Token(uri).generate(curve))

    @classmethod
    def read(cls, content: bytes) -> TokenKey:
        """Read the content of a key file; raises ValueError or `OperatorError` if it is not one of a token."""
        first, _, pem = content.partition(b"\n")
        public = load_pem_public_key(pem)
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise ValueError("not an ECDSA key")  # noqa: TRY004 - as the library says it of a file
        return cls(TokenUri.parse(first.decode()), public)

    @staticmethod
    def is_in(content: bytes) -> bool:
        """Tell whether a key file names a key in a token."""
        return content.startswith(_BEGIN)

    @property
    def reference(self) -> bytes:
        """The content of its file."""
        pem = self._public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return f"{self.uri}\n".encode() + pem

    @property
    def curve(self) -> ec.EllipticCurve:
        """Its curve."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """The bits of the curve."""
        return self._public.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public key, without the token."""
        return self._public

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Sign in the token; raises `OperatorError`. The digest is made here: not each token knows each hash."""
        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, Prehashed):
            return Token(self.uri).sign(bytes(data))
        return Token(self.uri).sign(_digest(bytes(data), algorithm))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        """Keys of a CA agree on nothing."""
        del algorithm, peer_public_key
        raise LocalError(f"{self!r} signs only")

    def private_numbers(self) -> NoReturn:
        """The token never gives the key away."""
        raise LocalError(f"{self!r} does not leave its token")

    def private_bytes(self, *_how: Any, **_given: Any) -> NoReturn:
        """The token never gives the key away."""
        raise LocalError(f"{self!r} does not leave its token")

    def __copy__(self) -> TokenKey:
        return self

    def __deepcopy__(self, _memo: Any) -> TokenKey:
        return self

    def __repr__(self) -> str:
        return f"<TokenKey {self.uri.shown}>"


def _digest(data: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    made = Hash(algorithm)
    made.update(data)
    return made.finalize()
