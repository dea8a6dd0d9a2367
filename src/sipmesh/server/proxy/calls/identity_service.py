"""Signs calls of our users to partners, and verifies the signatures of partners (RFC 8224)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.dialog import host_of
from sipmesh.routing.identity.privacy import ANONYMOUS, hides_user, is_anonymous
from sipmesh.routing.identity.sender import ClientSender, ServerSender
from sipmesh.routing.numbers.e164 import caller_number
from sipmesh.routing.outcome import Answer
from sipmesh.routing.passport.claims import claims_of, domain_of, read_claims
from sipmesh.routing.passport.identity_field import MOST_FIELDS, SignedClaims, read_field, write_field
from sipmesh.routing.passport.verification import check_claims
from sipmesh.sip.date import sip_date
from sipmesh.sip.status import Status
from sipmesh.sip.uri import SipUri
from sipmesh.topology.document.identity_policy import IdentityPolicy
from sipmesh.topology.document.parts.stir import StirMode
from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.x509.sip_identity import identities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.gatekeeper import Gatekeeper
    from sipmesh.server.proxy.trunks.number_verifier import NumberVerifier
    from sipmesh.server.proxy.used_passports import UsedPassports
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.sip.message import Request
    from sipmesh.topology.entries import PartnerView
    from sipmesh.transport.tls.contexts import Identity
    from sipmesh.trust.trusted_peer import TrustedPeer

SIGNED_METHODS: Final = frozenset({"INVITE", "UPDATE", "PRACK"})
"""Requests that may have an offer."""

VERIFIED_IDENTITY: Final = "verified-identity"
"""The field by which a server tells its clients that the organisation of the caller has signed the request."""
_ALGORITHMS: Final = {"secp256r1": "ES256", "secp384r1": "ES384"}
_NOWHERE: Final = ("", 0)
NO_DOMAINS: Final[frozenset[str]] = frozenset()
_VERIFIES: Final = frozenset({IdentityPolicy.VERIFY, IdentityPolicy.REQUIRED})


class IdentityService:
    """Signs and verifies under the topology in force. *own* gives our certificate and its key, *numbers* judges trunks' calls.

    *used* are the tokens that were accepted.
    """

    def __init__(
        self,
        current: Current,
        gatekeeper: Gatekeeper,
        own: Callable[[], Identity],
        log: LimitedLog,
        numbers: NumberVerifier,
        used: UsedPassports,
    ) -> None:
        self._current, self._gatekeeper, self._own, self._log = current, gatekeeper, own, log
        self._numbers, self._used = numbers, used
        self._is_warned = False

    @property
    def _partners(self) -> Mapping[str, PartnerView]:
        return self._current.value.signing

    def judge(self, flow: Flow, request: Request, identity: str | None) -> Answer | None:
        """Return the answer to a request of *identity* that may not pass for its signature; sign it, if we sign it."""
        sender = flow.sender
        if isinstance(sender, ServerSender) and sender.kind is LinkKind.PARTNER:
            rule = self._current.value.stir.get(sender.peer.name)
            if rule is not None and rule.mode is not StirMode.OFF:
                is_call = request.method == "INVITE" and request.to.tag is None
                caller = caller_number(SipUri.parse(identity)) if identity is not None else ""
                return self._numbers.judge(request, sender.peer.name, rule, caller) if is_call else None
        refused = self.refused(flow, request)
        if refused is None:
            self.sign(flow, request)
        return refused

    # Signing

    def sign(self, flow: Flow, request: Request) -> None:
        """Sign a request of one of our users to a partner whose entry asks for it.

        The user has logged in on this link, and From is its address or alias, or does not say who it is. Inside the dialog of a
        user whom a partner withholds, To does not name the partner: such a request is signed for any partner.
        """
        sender = flow.sender
        if request.method not in SIGNED_METHODS or not isinstance(sender, ClientSender):
            return
        is_inside = request.to.tag is not None
        there = host_of(request.to.uri if is_inside else request.uri)
        if there not in self._partners and not (is_inside and there == ANONYMOUS):
            return
        own = self._own()
        domain = self._domain_for(request, sender, own)
        if not domain:
            return
        algorithm = _ALGORITHMS.get(own.key.curve.name) if isinstance(own.key, ec.EllipticCurvePrivateKey) else None
        if algorithm is None or not isinstance(own.key, ec.EllipticCurvePrivateKey):
            self._warn_of_key()
            return
        now = int(self._gatekeeper.clock().timestamp())
        try:
            payload = claims_of(request, now, domain).encode()
        except RemoteError:  # what cannot be read is not signed
            return
        request.append("identity", write_field(payload, domain, own.chain, own.key, algorithm))
        if not request.has("date"):  # RFC 8224 section 4.1
            request.append("date", sip_date(now))

    def _domain_for(self, request: Request, sender: ClientSender, own: Identity) -> str:
        """Give the domain that signs for the user of a request, "" if there is none: of several, the first one for who hides."""
        name = request.from_
        if is_anonymous(name):
            return min(self._current.value.view.sip_domains.intersection(identities(own.chain[0]).usable), default="")
        may_sign = hides_user(name) or (name.is_sip and sender.may_speak_as(name, NO_DOMAINS))
        return host_of(name.uri) if may_sign else ""

    def _warn_of_key(self) -> None:
        if not self._is_warned:
            self._is_warned = True
            self._log.warning("", "calls are not signed: the key of this server is not on P-256 or P-384")

    # Verification

    def refused(self, flow: Flow, request: Request) -> Answer | None:
        """Return the answer to a request of a partner whose signature is missing or wrong; None if it may pass.

        A request whose signature is valid gets a Verified-Identity, which phones may show, unless its sender hides.
        """
        sender = flow.sender
        if (
            request.method not in SIGNED_METHODS
            or not isinstance(sender, ServerSender)
            or sender.kind is not LinkKind.PARTNER
        ):
            return None
        partner = self._partners.get(sender.peer.name)
        if partner is None or partner.identity_policy not in _VERIFIES:
            return None
        fields = request.values("identity")
        if not fields:
            if partner.identity_policy is not IdentityPolicy.REQUIRED or (
                request.to.tag is not None and not request.body
            ):
                return None
            return Answer(
                Status.USE_IDENTITY_HEADER,
                code=Code.IDENTITY_MISSING,
                why=f"{sender.peer.name} has not signed",
            )
        return self._judged(fields[:MOST_FIELDS], request, sender.peer)

    def _judged(self, fields: list[str], request: Request, peer: TrustedPeer) -> Answer | None:
        """Accept if one of *fields* is valid. Otherwise the first fault is the answer."""
        first: RemoteError | None = None
        for field in fields:
            try:
                self._verify(read_field(field), request, peer)
            except RemoteError as wrong:
                first = first or wrong
            else:
                if not is_anonymous(request.from_):
                    request.append(VERIFIED_IDENTITY, f"<{request.from_.uri}>")
                return None
        status, why = (
            (first.status, str(first)) if first is not None else (Status.INVALID_IDENTITY_HEADER, "no Identity")
        )
        reason = "Stale Date" if status == Status.FORBIDDEN else ""  # RFC 8224 section 6.2.2
        return Answer(status, reason, code=Code.IDENTITY_INVALID, why=why)

    def _verify(self, signed: SignedClaims, request: Request, peer: TrustedPeer) -> None:
        """Raise RemoteError unless the signer is *peer*, may speak for the domain of From, and has signed this request.

        The domain of who hides is that of orig.
        """
        at, claims = self._gatekeeper.clock(), read_claims(signed.payload)
        domain = domain_of(claims.orig) if is_anonymous(request.from_) else host_of(request.from_.uri)
        self._judge_signer(signed, domain, peer)
        check_claims(claims, request, int(at.timestamp()))
        if self._used.is_replayed(peer.name, signed.mark, request, int(at.timestamp())):
            raise RemoteError(
                "its token was used for another request",
                rule="RFC 8224 section 12.1",
                status=Status.INVALID_IDENTITY_HEADER,
            )

    def _judge_signer(self, signed: SignedClaims, domain: str, peer: TrustedPeer) -> None:
        """Judge the signer's certificate as that of the partner: its anchors, its CRLs, its names (rule R8)."""
        errors = path_errors(signed.chain, peer.authority.anchors, self._gatekeeper.clock())
        evidence = PeerEvidence(Direction.ACCEPTED, LinkKind.PARTNER, _NOWHERE, _NOWHERE, signed.presented, errors)
        verdict = self._gatekeeper.judge(evidence)
        is_peer = verdict.accepted and verdict.peer is not None and verdict.peer.name == peer.name
        if not is_peer or domain not in peer.asserts or domain not in identities(signed.chain[0]).usable:
            why = f"its signer is not {peer.name} for {domain}: {verdict.code}"
            raise RemoteError(why, rule="RFC 8224 section 6.2", status=Status.UNSUPPORTED_CREDENTIAL)
