"""A token: makes keys, and signs with them. Each use opens a session, logs in, and closes it.

So a token that was away is used again as soon as it is back. A process has one session at most, and keeps no token busy. A PIN
that the token has refused is not tried again by this process. The last try before a token locks itself is never taken.
"""

from __future__ import annotations

import hashlib
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.tokens.module_file import changeable_by_others
from sipmesh.pki.tokens.pin import read_pin, source

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from sipmesh.pki.tokens.token_uri import TokenUri

_REFUSAL: Final = "a key in a token cannot be used"
_ALONE: Final = threading.RLock()
"""PKCS #11 knows one log-in for a process: a second session would end with the log-out of the first."""
_refused: set[bytes] = set()
"""Digests of the PINs that a token has refused, each with its token."""


class Token:
    """The token that *uri* names."""

    def __init__(self, uri: TokenUri) -> None:
        self._uri = uri

    def generate(self, curve: ec.EllipticCurve) -> ec.EllipticCurvePublicKey:
        """Make a key with the label and the id of the URI. The token never gives it away."""
        point = self._with_session(lambda api, session: _generated(api, session, self._uri, curve))
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, point)

    def sign(self, digest: bytes) -> bytes:
        """Sign a *digest* with the key of the URI; returns the signature as ASN.1 (RFC 3279 2.2.3)."""
        raw = self._with_session(lambda api, session: _signed(api, session, self._uri, digest))
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))

    def _with_session(self, use: Callable[[ModuleType, Any], bytes]) -> bytes:
        """Use a session; a second time if the first one fails: the token may be back, and the module looks for it again."""
        api = _library()
        with _ALONE:
            module = _module(api, self._uri)
            try:
                return self._used(api, module, use)
            except api.PKCS11Error:
                with suppress(api.PKCS11Error):
                    module.reinitialize()
            try:
                return self._used(api, module, use)
            except api.exceptions.NoSuchKey:
                raise self._fault(
                    "has no such key", "restore the key to the token from the backup of the token"
                ) from None
            except api.PKCS11Error as wrong:
                remedy = "plug the token in, or start its service: it is used again at once"
                raise self._fault(f"cannot be used ({_words(wrong)})", remedy) from None

    def _used(self, api: ModuleType, module: Any, use: Callable[[ModuleType, Any], bytes]) -> bytes:
        serial = {"token_serial": self._uri.serial.encode()} if self._uri.serial else {}
        token = module.get_token(token_label=self._uri.token, **serial)
        if token.flags & (api.TokenFlag.USER_PIN_LOCKED | api.TokenFlag.USER_PIN_FINAL_TRY):
            remedy = "log in with the program of its maker, then write the right PIN to the file"
            raise self._fault("has its PIN locked, or one try left", remedy)
        with self._session(api, token) as session:
            return use(api, session)

    def _session(self, api: ModuleType, token: Any) -> Any:
        """Open a session and log in; raises `OperatorError` for a PIN that the token refuses, or has refused."""
        pin = read_pin(self._uri)
        tried = hashlib.sha256(b"\0".join((token.serial, self._uri.token.encode(), pin.encode()))).digest()
        try:
            if tried not in _refused:
                return token.open(rw=True, user_pin=pin)
        except (api.exceptions.PinIncorrect, api.exceptions.PinLenRange, api.exceptions.PinInvalid):
            _refused.add(tried)
        except api.exceptions.SessionCount:
            raise self._fault("has no free session", "close the other programs that use it") from None
        remedy = f"write the right PIN to {source(self._uri)}; this process does not try the present PIN again"
        raise self._fault("refuses the PIN", remedy)

    def _fault(self, reason: str, remedy: str) -> OperatorError:
        return OperatorError(_REFUSAL, (Problem(Path(self._uri.module_path), 0, self._uri.shown, reason, remedy),))


def _library() -> ModuleType:
    try:
        import pkcs11
    except ImportError:
        raise OperatorError("keys in tokens need python-pkcs11: pip install 'python-pkcs11>=0.9,<1'") from None
    return pkcs11


def _module(api: ModuleType, uri: TokenUri) -> Any:
    """Load the module. It runs with our rights, so only root and the user of sipmesh may be able to change what it is."""
    file = Path(uri.module_path)
    try:
        is_file, open_to_others = file.is_file(), changeable_by_others(file)
    except OSError as wrong:
        problem = Problem(file, 0, "", f"cannot be read ({wrong.strerror})", "install the PKCS #11 module of the token")
        raise OperatorError(_REFUSAL, (problem,)) from None
    if not is_file or open_to_others is not None:
        reason = "is no file that only root or the user of sipmesh can change"
        step = open_to_others or file
        where = f"{reason}: others can change {step}" if open_to_others is not None else reason
        raise OperatorError(_REFUSAL, (Problem(file, 0, "", where, f"chown root {step}; chmod go-w {step}"),))
    try:
        return api.lib(str(file))
    except (api.PKCS11Error, RuntimeError) as wrong:
        problem = Problem(file, 0, "", f"is no PKCS #11 module ({_words(wrong)})", "name the module of the token")
        raise OperatorError(_REFUSAL, (problem,)) from None


def _words(wrong: Exception) -> str:
    return str(wrong) or type(wrong).__name__


def _key(api: ModuleType, session: Any, uri: TokenUri) -> Any:
    wanted: dict[str, Any] = {"label": uri.object} if uri.object else {}
    wanted |= {"id": bytes.fromhex(uri.id)} if uri.id else {}
    return session.get_key(object_class=api.ObjectClass.PRIVATE_KEY, key_type=api.KeyType.EC, **wanted)


def _signed(api: ModuleType, session: Any, uri: TokenUri, digest: bytes) -> bytes:
    return bytes(_key(api, session, uri).sign(digest, mechanism=api.Mechanism.ECDSA))


def _generated(api: ModuleType, session: Any, uri: TokenUri, curve: ec.EllipticCurve) -> bytes:
    """Make a key that cannot be read; returns the point of its public key."""
    from pkcs11.util.ec import encode_named_curve_parameters

    named = {api.Attribute.EC_PARAMS: encode_named_curve_parameters(curve.name)}
    parameters = session.create_domain_parameters(api.KeyType.EC, named, local=True)
    hidden = {api.Attribute.SENSITIVE: True, api.Attribute.EXTRACTABLE: False, api.Attribute.SIGN: True}
    public, _ = parameters.generate_keypair(
        store=True, label=uri.object, id=bytes.fromhex(uri.id), private_template=hidden
    )
    size = 2 * ((curve.key_size + 7) // 8) + 1
    return bytes(
        public[api.Attribute.EC_POINT][-size:]
    )  # PKCS #11 2.3.3: in an OCTET STRING; some modules give it alone
