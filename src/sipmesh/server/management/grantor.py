"""Management grants a server its next certificate (`server/replication/renewal.py`)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.errors import RemoteError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.csr import read_request
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.server.replication.renewal import CERTIFICATE, REQUEST, is_due
from sipmesh.sip.text import ascii_lower
from sipmesh.topology.versions.jose import MalformedDocumentError, open_signed
from sipmesh.topology.view import certificate_names
from sipmesh.trust.role import Role
from sipmesh.trust.x509.certificate import extension, issued_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.pki.keys.algorithm import OwnPublicKey
    from sipmesh.topology.document.load import Loaded


MOST_A_DAY: Final = 4
"""How many certificates a server may get in a day: it needs one in twenty days, and one more for a new issuing CA."""


A_DAY: Final = timedelta(days=1)


class Grantor:
    """Management's side: it grants a server the names in the topology, for a request signed with the server's present key.

    *signed* signs a document as management; *granted* is called for each certificate.
    """

    def __init__(
        self,
        folder: Path,
        signed: Callable[[bytes, str], bytes],
        granted: Callable[[str, x509.Certificate], None],
    ) -> None:
        self._folder, self._signed, self._granted = folder, signed, granted
        self._items: dict[str, tuple[str, Item]] = {}
        self._payloads: dict[str, bytes] = {}
        self._granted_at: dict[str, list[datetime]] = {}

    def item(self, server: str) -> Item | None:
        """Return the item with the last certificate that was granted to *server*, None if there is none."""
        granted = self._items.get(server)
        return granted[1] if granted is not None else None

    def asked(self, server: str, request: str, loaded: Loaded, at: datetime) -> bool:
        """Grant the request of *server*, once; return True if there is a new certificate.

        Raises `OperatorError` or `RemoteError` if nothing is granted; the text is the reason.
        """
        key = self._checked(server, request, at)
        current = CaGenerations(self._folder).current
        _must_be_as_strong(server, key, current)
        digest = sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
        if self._items.get(server, ("",))[0] == digest:
            return False
        pool = loaded.topology.pool_of(server)
        if pool is None:
            raise RemoteError(f"{server} is not in the topology", rule="rule R5", status=403)
        if pool.role is Role.MANAGEMENT:
            why = (
                f"{server} is a management server: the leader renews its certificate, or it joins again with a new key"
            )
            raise RemoteError(why, rule="rule R6", status=403)
        granted_at = self._granted_lately(server, at)
        issued = current.certify(certificate_names(loaded.topology, server), pool.role, key, at)
        payload = json.dumps({"server": server, "chain": issued.chain.decode()}).encode()
        item = self._item(server, payload)
        self._granted(server, issued.certificate)  # first: what is not in the audit log is not given to the server
        self._items[server], self._payloads[server] = (digest, item), payload
        self._granted_at[server] = [*granted_at, at]
        return True

    def sign_anew(self) -> None:
        """Sign the stored certificates again, after our signer has a new chain: the old chain expires with its root.

        Raises `OperatorError` if we cannot sign.
        """
        for server, payload in self._payloads.items():
            self._items[server] = (self._items[server][0], self._item(server, payload))

    def _item(self, server: str, payload: bytes) -> Item:
        return Item(ItemKind.CERTIFICATE, self._signed(payload, CERTIFICATE), server)

    def _granted_lately(self, server: str, at: datetime) -> list[datetime]:
        """Return when a server has received certificates in the last day; raises `RemoteError` if they are too many.

        The holder of a server's key could fill the ledger and the audit log.
        """
        lately = [granted_at for granted_at in self._granted_at.get(server, []) if at - granted_at < A_DAY]
        if len(lately) >= MOST_A_DAY:
            raise RemoteError(
                f"{server} has received {len(lately)} certificates in a day, which is the limit",
                rule="rule R6",
                status=403,
            )
        return lately

    def _checked(self, server: str, request: str, at: datetime) -> OwnPublicKey:
        """Return the key of a request, if it is signed with the key of a certificate that our CA has issued for the server.

        The certificate itself says whose it is: a row of the ledger that was changed or removed keeps no server from renewal.
        """
        try:
            signed = open_signed(request.encode(), REQUEST)
        except MalformedDocumentError as wrong:
            raise RemoteError(f"not a request of {server}: {wrong}", rule="rule R6", status=403) from None
        leaf = signed.chain[0]
        generations = CaGenerations(self._folder)
        if not generations.has_signed(leaf) or not is_server_certificate(leaf, server):
            raise RemoteError(f"a request for {server} is not signed with its key", rule="rule R6", status=403)
        _ca, record = generations.as_issued({leaf.serial_number}).get(leaf.serial_number, (None, None))
        is_revoked = record is not None and record.revoked_at is not None
        is_valid = leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc
        if is_revoked or not is_valid or not generations.has_issued(leaf):
            raise RemoteError(f"the certificate of {server} has expired or was revoked", rule="rule R6", status=403)
        if not is_due(leaf, at) and issued_by(leaf, generations.current.issuing):
            raise RemoteError(f"the certificate of {server} is not due for renewal", rule="rule R6", status=403)
        name, key = read_request(signed.payload, self._folder)
        if name != server:
            raise RemoteError(f"{server} requests a certificate for {name}", rule="rule R6", status=403)
        return key


def _must_be_as_strong(server: str, key: OwnPublicKey, ca: EnterpriseCa) -> None:
    """Raise `RemoteError` for a P-256 key below a CA of ML-DSA-44.

    A server behind a front end knows from it which CA issues. A stolen front end could keep the new CA from an edge, and the edge
    on P-256.
    """
    if ca.algorithm is KeyAlgorithm.ML_DSA_44 and KeyAlgorithm.of(key) is not KeyAlgorithm.ML_DSA_44:
        why = f"{server} requests a certificate for a key of ECDSA, and the CA is of ML-DSA-44, which {server} does not know yet"
        raise RemoteError(why, rule="rule R6", status=403)


def is_server_certificate(leaf: x509.Certificate, server: str) -> bool:
    """Return whether a certificate itself is one of *server*: others may be able to change the names in the ledger.

    The server's own name is the first one; its pool and its SIP domains follow.
    """
    names, usages = extension(leaf, x509.SubjectAlternativeName), extension(leaf, x509.ExtendedKeyUsage)
    is_named = names is not None and [server] == [*map(ascii_lower, names.get_values_for_type(x509.DNSName)[:1])]
    return is_named and usages is not None and ExtendedKeyUsageOID.SERVER_AUTH in usages


def about(server: str, certificate: x509.Certificate) -> dict[str, str]:
    """What the audit log tells of a certificate that was granted."""
    return {
        "server": server,
        "serial": f"{certificate.serial_number:x}",
        "because": "its last certificate was near its end",
    }
