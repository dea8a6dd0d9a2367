"""TLS contexts: what we present, which anchors we trust in the handshake, and which TLS versions we use.

A context is built once and never changed: OpenSSL cannot take a certificate out of the store of a live context. A new
certificate or another set of anchors makes a new context, which replaces the old one.

All links use pyOpenSSL, and so one build of OpenSSL: TLS 1.2 and 1.3, AEAD with forward secrecy, security level 2, no
compression, no renegotiation. The key-exchange groups are the default of OpenSSL (from 3.5 on X25519MLKEM768 first). On links
between our servers they are this group alone, if the topology says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from OpenSSL import SSL, crypto

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.files import open_key, read_private
from sipmesh.pki.keys import passphrase
from sipmesh.pki.tokens.token_key import TokenKey
from sipmesh.regular_file import read_regular
from sipmesh.sip.text import ascii_lower
from sipmesh.transport.tls.application_protocol import KNOWN
from sipmesh.transport.tls.certificate_choice import CertificateChoice, names_of
from sipmesh.transport.tls.pyopenssl import PyOpenSslTls, require_group
from sipmesh.trust.path.chain import DEEPEST
from sipmesh.trust.path.openssl_errors import BAD_SIGNATURE, CONSTRAINTS, UNANCHORED
from sipmesh.trust.x509.certificate import extension

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterable, Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    VerifyCallback = Callable[[SSL.Connection, crypto.X509, int, int, int], bool]


CIPHERS_TLS12: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"  # AEAD and forward secrecy only
CIPHERS_TLS13: Final = b"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
_SEND_SERVERHELLO_TIME: Final = 0x40
"""OpenSSL's SSL_MODE_SEND_SERVERHELLO_TIME, without a name in pyOpenSSL: the random begins with the time (RFC 5246 7.4.1.2)."""

POST_QUANTUM: Final = "X25519MLKEM768"
"""The hybrid of X25519 and ML-KEM-768 (FIPS 203): both have to be broken."""
ISSUE_REMEDY: Final = "issue the certificate again: sipmesh ca issue"

StapleOf = Callable[[bytes], bytes]
"""Gives the OCSP response about one of our certificates, both in DER; empty if none is to be stapled."""

type_of_key = EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey | MLDSA44PrivateKey


class AcceptingContext(Protocol):
    """What a listener needs: TLS for accepted sockets."""

    def accepted(self, sock: socket.socket) -> PyOpenSslTls:
        """Start TLS on an accepted, non-blocking socket; the result owns the socket from now on."""


class OpeningContext(Protocol):
    """What a connector needs: TLS for connected sockets."""

    def opened(self, sock: socket.socket, name: str, protocol: str = "") -> PyOpenSslTls:
        """Start TLS on a connected, non-blocking socket; *name* is sent as SNI, and *protocol* by ALPN, unless they are empty."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What one of our servers presents: its chain (leaf first) and its private key, read once.

    *only* limits the names in the SNI for which clients get it; empty: each name that it holds.
    """

    chain_path: Path
    key_path: Path
    chain: tuple[x509.Certificate, ...]
    key: type_of_key = field(repr=False)
    only: frozenset[str] = frozenset()

    @classmethod
    def load(cls, chain_path: Path, key_path: Path, only: frozenset[str] = frozenset()) -> Identity:
        """Read chain and key in PEM; raises OperatorError that names the unusable file, or the passphrase that is missing."""
        chain, key = _load_chain(chain_path), _load_key(key_path)
        if _public(chain[0].public_key()) != _public(key.public_key()):
            raise _unusable(key_path, f"the key does not belong to the certificate in {chain_path.name}")
        return cls(chain_path, key_path, chain, key, only)

    @property
    def leaf(self) -> x509.Certificate:
        """The server's own certificate."""
        return self.chain[0]


def present_by(context: ssl.SSLContext, identity: Identity) -> None:
    """Have a context of the standard library present *identity*; raises `OperatorError` if its files have become unusable.

    A callback gives the passphrase: without one, OpenSSL asks for it at the terminal, and the whole process waits.
    """
    try:
        context.load_cert_chain(identity.chain_path, identity.key_path, password=_passphrase)
    except OSError as wrong:
        raise _unusable(identity.key_path, f"chain and key cannot be used ({wrong})") from None


def _passphrase() -> bytes:
    where = passphrase.source()
    return passphrase.read(where) if where is not None else b""


def _load_chain(path: Path) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(read_regular(path)))
    except (OSError, ValueError) as error:
        raise _unusable(
            path, f"no certificate can be read from it ({getattr(error, 'strerror', None) or error})"
        ) from None


def _load_key(path: Path) -> type_of_key:
    try:
        key = open_key(path, read_private(path))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unusable(path, "no private key can be read from it: it is damaged, or of another kind") from None
    if isinstance(key, TokenKey):
        raise _unusable(path, "its key is in a token, which cannot serve TLS here: put the key of a server into a file")
    if not isinstance(key, type_of_key):
        raise _unusable(path, f"a {type(key).__name__} cannot serve TLS")
    return key


def _public(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _unusable(path: Path, reason: str) -> OperatorError:
    return OperatorError("the server has no usable certificate", (Problem(path, 0, "", reason, ISSUE_REMEDY),))


def _on_verify(connection: SSL.Connection, certificate: crypto.X509, code: int, depth: int, _ok: int) -> bool:
    """Pass OpenSSL's result to the adapter of this connection; an exception here refuses the peer (pyOpenSSL returns 0)."""
    tls: PyOpenSslTls | None = connection.get_app_data()
    return tls is not None and tls.verified(certificate, code, depth)


def _on_staple(connection: SSL.Connection, response: bytes, _data: None) -> bool:
    """Pass the OCSP response that the peer has stapled to the adapter of this connection; the judge decides, not OpenSSL."""
    tls: PyOpenSslTls | None = connection.get_app_data()
    if tls is not None:
        tls.stapled = response
    return True


def _on_staple_wanted(connection: SSL.Connection, staple_of: StapleOf | None) -> bytes:
    """Return what is stapled to the certificate that OpenSSL has chosen; it calls this only for a client that asks."""
    chosen = connection.get_certificate()
    if staple_of is None or chosen is None:
        return b""
    return staple_of(crypto.dump_certificate(crypto.FILETYPE_ASN1, chosen))


def _on_verify_among(anchors: Sequence[x509.Certificate], *, by_dane: bool) -> VerifyCallback:
    """Return the callback for the *anchors* of several organisations, of which one can have the name of another one's CA.

    An error that such an anchor can cause is recorded, and `recheck_path` decides: its own faults, a bad signature below it, and
    names that it does not permit. With *by_dane* a path may have no anchor at all: TLSA records decide.
    """
    ders = frozenset(anchor.public_bytes(Encoding.DER) for anchor in anchors)
    are_constrained = any(extension(anchor, x509.NameConstraints) is not None for anchor in anchors)
    theirs = {BAD_SIGNATURE, *(UNANCHORED if by_dane else ()), *(CONSTRAINTS if are_constrained else ())}

    def on_verify(connection: SSL.Connection, certificate: crypto.X509, code: int, depth: int, ok: int) -> bool:
        if _on_verify(connection, certificate, code, depth, ok):
            return True
        is_recorded = connection.get_app_data() is not None
        return is_recorded and (code in theirs or crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate) in ders)

    return on_verify


def _base() -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS_TLS12.encode())
    context.set_tls13_ciphersuites(CIPHERS_TLS13)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    # No session resumption. On mutual TLS, a resumed session shows no certificate to judge. On client ports, a ticket is
    # encrypted under a key that lives as long as this context: an attacker who reads the key from memory could decrypt
    # recorded TLS 1.2 links. For that long, a stolen ticket would also be accepted. Resumption would save about 0.15 ms
    # of our time for a TLS 1.2 phone, and nothing for a TLS 1.3 phone, which makes a new key exchange anyway. In TLS
    # 1.3 OpenSSL still sends two tickets, and pyOpenSSL has no call for their number; no session is kept to which they
    # could refer.
    context.set_options(SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"sipmesh")
    return context


def _judging(anchors: Iterable[x509.Certificate]) -> SSL.Context:
    context = _base()
    context.set_verify_depth(DEEPEST)
    _trust(context, anchors)
    return context


def _trust(context: SSL.Context, anchors: Iterable[x509.Certificate]) -> None:
    store = context.get_cert_store()
    if store is None:  # pyOpenSSL's types allow None; a context without a store would refuse every peer
        raise OperatorError("OpenSSL gave a TLS context without a certificate store")
    for anchor in {anchor.public_bytes(Encoding.DER): anchor for anchor in anchors}.values():
        store.add_cert(crypto.X509.from_cryptography(anchor))
    store.set_flags(crypto.X509StoreFlags.X509_STRICT)


def _select_protocol(_connection: SSL.Connection, offered: list[bytes]) -> Any:
    """Agree to the first application protocol that we know; without one the handshake goes on (RFC 7301 3.2 allows to refuse)."""
    known = (name for name in offered if name.decode("latin-1") in KNOWN)
    return next(known, SSL.NO_OVERLAPPING_PROTOCOLS)


def _present(context: SSL.Context, *identities: Identity, staple_of: StapleOf | None = None) -> None:
    """Present *identities*; OpenSSL takes one whose type of key the peer supports, and sends the issuers of all."""
    if staple_of is not None:
        context.set_ocsp_server_callback(_on_staple_wanted, staple_of)
    for identity in identities:
        context.use_certificate(identity.leaf)
        use_key(context, identity.key)
    for issuer in dict.fromkeys(issuer for identity in identities for issuer in identity.chain[1:]):
        context.add_extra_chain_cert(issuer)


def use_key(context: SSL.Context, key: type_of_key) -> None:
    """Use *key*. pyOpenSSL reads a key of ML-DSA from a file only: this one is in memory, and has no name."""
    if not isinstance(key, MLDSA44PrivateKey):
        context.use_privatekey(key)
        return
    with os.fdopen(os.memfd_create("key"), "w+b") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        context.use_privatekey_file(f"/proc/self/fd/{file.fileno()}")


class MutualContext:
    """Mutual TLS in both directions: presents *identity*, requires a certificate under one of *anchors*.

    *of_many*: the anchors are of several organisations. Then a handshake may end with errors as evidence, and the path has to be
    checked again (`sipmesh.transport.tls.path_check.recheck_path`); without that the judge refuses. *by_dane*: TLSA records
    count in place of the CA of one of them, so that such an error may be that no anchor is known.

    *others* are presented to peers that connect with a name in the SNI that they hold and *identity* does not. The name
    decides only what is presented: the anchors are the same.

    With *post_quantum*, keys are exchanged by `POST_QUANTUM` only, which is TLS 1.3 only.

    With *staples*, for links that we open, the peer is asked to staple an OCSP response (RFC 6066 8). *staple_of* gives what we
    staple for a peer that asks. OpenSSL has one callback for both, so a context asks or staples.
    """

    __slots__ = ("_context", "_contexts", "_staples", "identity")

    def __init__(
        self,
        identity: Identity,
        anchors: Iterable[x509.Certificate],
        *,
        of_many: bool = False,
        by_dane: bool = False,
        others: Sequence[Identity] = (),
        staples: bool = False,
        post_quantum: bool = False,
        staple_of: StapleOf | None = None,
    ) -> None:
        self.identity, trusted, self._staples = identity, tuple(anchors), staples
        stapled = None if staples else staple_of
        self._context = _mutual(identity, trusted, stapled, of_many=of_many, by_dane=by_dane)
        if not of_many:
            # a server that we refuse sees by it whether our clock is wrong
            self._context.set_mode(_SEND_SERVERHELLO_TIME)
        if post_quantum:
            require_group(self._context, POST_QUANTUM)
        own = names_of(identity.leaf)
        self._contexts = [
            (names_of(other.leaf) - own, _mutual(other, trusted, stapled, of_many=of_many, by_dane=by_dane))
            for other in others
        ]
        if others:
            self._context.set_tlsext_servername_callback(self._on_sni)
        if staples:
            self._context.set_ocsp_client_callback(_on_staple)

    def _on_sni(self, connection: SSL.Connection) -> None:
        """Present the certificate that holds the name in the ClientHello (RFC 6066 section 3)."""
        name = ascii_lower((connection.get_servername() or b"").decode("ascii", "replace"))
        for names, context in self._contexts:
            if name in names:
                connection.set_context(context)
                return

    def accepted(self, sock: socket.socket) -> PyOpenSslTls:
        """See :class:`AcceptingContext`."""
        return PyOpenSslTls(self._context, sock, opening=False)

    def opened(self, sock: socket.socket, name: str, protocol: str = "") -> PyOpenSslTls:
        """See :class:`OpeningContext`."""
        return PyOpenSslTls(
            self._context, sock, opening=True, name=name, protocol=protocol, asks_for_staple=self._staples
        )


class ClientContext:
    """The context of our own client commands: it judges the server, and presents no certificate."""

    __slots__ = ("_context",)

    def __init__(self, anchors: Iterable[x509.Certificate]) -> None:
        self._context = _judging(anchors)
        self._context.set_verify(SSL.VERIFY_PEER, _on_verify)

    def opened(self, sock: socket.socket, name: str, protocol: str = "") -> PyOpenSslTls:
        """See :class:`OpeningContext`."""
        return PyOpenSslTls(self._context, sock, opening=True, name=name, protocol=protocol)


class ClientPortContext:
    """The context of a client port: it presents *identity*, and requests no certificate without *anchors*.

    With *anchors*, roots and CAs below them, it requests the certificate of a device; *is_required* ends the handshake
    without one. Browsers end it at a CertificateRequest. *others* are further certificates: `certificate_choice` chooses by the
    SNI, and for each type of key. *staple_of* gives what is stapled for a client that asks. Raises ``OpenSSL.SSL.Error`` for a
    certificate that OpenSSL refuses.
    """

    __slots__ = ("_anchors", "_choice", "_context", "_contexts", "_is_required", "_staple_of", "identity")

    def __init__(
        self,
        identity: Identity,
        others: Sequence[Identity] = (),
        anchors: Sequence[x509.Certificate] = (),
        *,
        is_required: bool = False,
        staple_of: StapleOf | None = None,
    ) -> None:
        self.identity, self._anchors, self._is_required = identity, tuple(anchors), is_required
        self._staple_of = staple_of
        self._contexts: dict[tuple[int, ...], SSL.Context] = {}
        self._choice = CertificateChoice(identity, others)
        self._context = self._context_of(self._choice.by_default)
        for other in others:
            self._context_of((other,))
        if others:
            self._context.set_tlsext_servername_callback(self._on_sni)

    def _context_of(self, identities: tuple[Identity, ...]) -> SSL.Context:
        """Return the context that presents *identities*, of which each has another type of key."""
        mark = tuple(map(id, identities))
        context = self._contexts.get(mark)
        if context is None:
            context = _judging(self._anchors) if self._anchors else _base()
            if self._anchors:
                required = SSL.VERIFY_FAIL_IF_NO_PEER_CERT if self._is_required else 0
                context.set_verify(SSL.VERIFY_PEER | required, _on_verify)
            context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # thousands of idle links would keep 32 KiB each
            _present(context, *identities, staple_of=self._staple_of)
            self._contexts[mark] = context
        return context

    def _on_sni(self, connection: SSL.Connection) -> None:
        """Choose the certificate by the name in the ClientHello (RFC 6066 section 3); OpenSSL calls this without a name too."""
        tls: PyOpenSslTls | None = connection.get_app_data()
        name = (connection.get_servername() or b"").decode("ascii", "replace")
        chosen = self._choice.of(name, tls.local_address() if tls is not None else "")
        context = self._context_of(chosen)
        if context is not self._context:
            connection.set_context(context)

    def accepted(self, sock: socket.socket) -> PyOpenSslTls:
        """See :class:`AcceptingContext`."""
        return PyOpenSslTls(self._context, sock, opening=False)


def _mutual(
    identity: Identity, anchors: Sequence[x509.Certificate], staple_of: StapleOf | None, *, of_many: bool, by_dane: bool
) -> SSL.Context:
    """Make a context that presents *identity*, and requires a certificate under one of *anchors*."""
    context = _judging(anchors)
    _present(context, identity, staple_of=staple_of)
    callback = _on_verify_among(anchors, by_dane=by_dane) if of_many else _on_verify
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, callback)
    context.set_alpn_select_callback(_select_protocol)
    return context
