"""The CRLs of one authority, found by issuer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cryptography import x509

    from sipmesh.trust.revocation.crl import RevocationList
    from sipmesh.trust.revocation.crl_scope import Scope
    from sipmesh.trust.x509.certificate import CertificateId


class RevocationLists:
    """The CRLs of one authority, found by issuer. *faults* say which files could not be used, and why.

    Immutable. One issuer may have several CRLs (RFC 5280 5.2.5 divides them by distribution point).
    """

    __slots__ = ("_by_issuer", "_combined", "faults")

    def __init__(self, lists: Iterable[RevocationList] = (), faults: tuple[str, ...] = ()) -> None:
        self._by_issuer: dict[bytes, list[RevocationList]] = {}
        self._combined: dict[tuple[int, int], RevocationList] = {}
        self.faults = faults
        for crl in sorted(lists, key=lambda each: (each.this_update, each.number), reverse=True):
            self._by_issuer.setdefault(crl.issuer_der, []).append(crl)

    def find(
        self, certificate: x509.Certificate, issuer: x509.Certificate, namesakes: Sequence[x509.Certificate] = ()
    ) -> RevocationList | None:
        """Return the newest CRL that *issuer* signed and that covers *certificate*, with its delta if there is one.

        *namesakes* are other certificates of the same CA, with other keys, that may have signed it. None of them may depend on
        *certificate*: a certificate must not confirm its own status.
        """
        ours = [
            crl
            for crl in self._by_issuer.get(issuer.subject.public_bytes(), ())
            if crl.scope.covers(certificate) and any(crl.signed_by(signer) for signer in (issuer, *namesakes))
        ]
        complete = next((crl for crl in ours if crl.base is None), None)
        if complete is None:
            return None
        later = (crl for crl in ours if crl.base is not None and crl.scope == complete.scope)
        delta = next((crl for crl in later if crl.number >= complete.number), None)
        return self._combine(complete, delta) if delta else complete

    def _combine(self, complete: RevocationList, delta: RevocationList) -> RevocationList:
        """Combine a pair once. Both CRLs are kept in this object, so their ids stay unique."""
        pair = (id(complete), id(delta))
        if pair not in self._combined:
            self._combined[pair] = complete.brought_up_to(delta)
        return self._combined[pair]

    def revoking(self, named: Iterable[CertificateId]) -> RevocationLists:
        """Give the same CRLs, in which the certificates *named* by issuer and serial number are revoked too."""
        more: dict[bytes, set[int]] = {}
        for issuer, serial in named:
            more.setdefault(issuer, set()).add(serial)
        changed = (
            crl.revoking(frozenset(more[crl.issuer_der])) if crl.base is None and crl.issuer_der in more else crl
            for crl in self
        )
        return RevocationLists(changed, self.faults)

    def of(self, issuer_der: bytes) -> Sequence[RevocationList]:
        """Give all CRLs of one issuer, newest first."""
        return self._by_issuer.get(issuer_der, ())

    def of_scope(self, issuer_der: bytes, scope: Scope) -> Sequence[RevocationList]:
        """Give the CRLs of one issuer and one scope, newest first."""
        return [crl for crl in self.of(issuer_der) if crl.scope == scope]

    def __iter__(self) -> Iterator[RevocationList]:
        for crls in self._by_issuer.values():
            yield from crls

    def __len__(self) -> int:
        return sum(map(len, self._by_issuer.values()))

    def __repr__(self) -> str:
        return f"<RevocationLists {list(self)} faults={list(self.faults)}>"
