"""Orders of ACME (RFC 8555 7.4, 7.5): each is for the entry of its account, and has one authorization, for its own name.

A client may ask for names that the topology gives this entry anyway: at a renewal it asks for all that the last certificate has.
"""

from __future__ import annotations

import binascii
import secrets
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.enrolment_request import UnfitRequestError, requested_key
from sipmesh.server.enrolment.acme import order_objects
from sipmesh.server.enrolment.acme.account_requests import must_be_valid
from sipmesh.server.enrolment.acme.asked import CREATED, PEM_CHAIN, Answer
from sipmesh.server.enrolment.acme.certificate_id import CertificateId
from sipmesh.server.enrolment.acme.challenges import KINDS
from sipmesh.server.enrolment.enrollable import NotEnrollableError, enrollable
from sipmesh.server.enrolment.enrolment_issuer import MOST_A_DAY, EnrolmentIssuer, Proof, TooManyCertificatesError
from sipmesh.server.enrolment.new_token import ID_OCTETS
from sipmesh.server.enrolment.problem import AcmeProblemError
from sipmesh.server.management.revoking import last_revocation
from sipmesh.sip import base64url
from sipmesh.sip.text import ascii_lower
from sipmesh.storage.enrolment.acme_orders import AcmeOrder, ChallengeStatus, OrderStatus
from sipmesh.topology.document.parts.enrolment import EnrolmentProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipmesh.pki.keys.algorithm import OwnPublicKey
    from sipmesh.server.enrolment.acme.asked import Asked
    from sipmesh.server.enrolment.enrollable import Enrollable
    from sipmesh.server.enrolment.enrolment_host import EnrolmentHost
    from sipmesh.storage.enrolment.acme_accounts import AcmeAccount

LIFETIME: Final = timedelta(hours=1)
"""How long an order may take; its authorization counts for this order alone."""

TOKEN_OCTETS: Final = 32  # RFC 8555 8.1: at least 128 bits
NOT_FOUND, CONFLICT, TOO_MANY = 404, 409, 429
_AGAIN: Final = {"Retry-After": "3600"}


class OrderRequests:
    """Answers the requests about orders, authorizations, challenges and certificates.

    *validate* begins to validate the challenge of an order, if that is not under way.
    """

    def __init__(self, host: EnrolmentHost, validate: Callable[[AcmeOrder, AcmeAccount], None]) -> None:
        self._host, self._validate = host, validate

    def new_order(self, asked: Asked) -> Answer:
        """Begin an order (RFC 8555 7.4): for the names of the entry of the account, and for no other one."""
        account, members = asked.by, asked.members
        names = _names(enrollable(self._host.view(), account.server), members)
        replaces = self._replaced(asked, members.get("replaces"))
        if (
            self._host.management_db.enrolled_certificates.of_last_day(account.server, asked.at.timestamp())
            >= MOST_A_DAY
        ):
            why = f"{account.server} has received {MOST_A_DAY} certificates in a day; try again tomorrow"
            raise AcmeProblemError("rateLimited", why, TOO_MANY, _AGAIN)
        order = AcmeOrder(
            id=secrets.token_hex(ID_OCTETS),
            account=account.id,
            server=account.server,
            names=names,
            token=base64url.encode(secrets.token_bytes(TOKEN_OCTETS)),
            made=asked.at,
            expires=asked.at + LIFETIME,
            replaces=replaces,
        )
        self._host.management_db.acme_orders.add(order)
        return self._order(asked, order, CREATED)

    def order(self, asked: Asked) -> Answer:
        """Show an order."""
        return self._order(asked, self._found(asked))

    def orders(self, asked: Asked) -> Answer:
        """List the orders of the account (RFC 8555 7.1.2.1)."""
        if asked.last != asked.by.id:
            raise AcmeProblemError("unauthorized", "this is the account of another key")
        found = self._host.management_db.acme_orders.of_account(asked.by.id)
        return Answer({"orders": [asked.link("order", order.id) for order in found]})

    def authorization(self, asked: Asked) -> Answer:
        """Show or give up an authorization (RFC 8555 7.5, 7.5.2)."""
        order = self._found(asked)
        if not asked.is_read:
            if asked.members.get("status") != "deactivated":
                raise AcmeProblemError("malformed", "the only status that a client sets is deactivated", 400)
            if order.status in (OrderStatus.PENDING, OrderStatus.READY):
                gone = replace(order, status=OrderStatus.INVALID, fault="unauthorized", detail="given up by the client")
                order = self._host.management_db.acme_orders.change(order, gone)
            return Answer({**order_objects.authorization(asked, order), "status": "deactivated"})
        return Answer(order_objects.authorization(asked, order), then=self._goes_on(asked, order))

    def challenge(self, asked: Asked) -> Answer:
        """Show a challenge, or begin to validate it (RFC 8555 7.5.1): only the first kind that is answered counts."""
        order, kind = self._found(asked), asked.url.rpartition("/")[2]
        if kind not in KINDS:
            raise AcmeProblemError("malformed", "there is no such challenge", NOT_FOUND)
        if not asked.is_read and (order.status, order.challenge) == (OrderStatus.PENDING, ChallengeStatus.PENDING):
            begun = replace(order, chosen=kind, challenge=ChallengeStatus.PROCESSING)
            order = self._host.management_db.acme_orders.change(order, begun)
        headers = {"Link": f'<{asked.link("authz", order.id)}>;rel="up"'}
        return Answer(order_objects.challenge(asked, order, kind), 200, headers, then=self._goes_on(asked, order))

    def finalize(self, asked: Asked) -> Answer:
        """Issue the certificate of an order (RFC 8555 7.4)."""
        order, account, orders = self._found(asked), asked.by, self._host.management_db.acme_orders
        if order.status is not OrderStatus.READY:
            raise AcmeProblemError("orderNotReady", f"the order is {order.status}")
        entry, key = enrollable(self._host.view(), order.server), _requested(asked, order)
        taken = orders.change(order, replace(order, status=OrderStatus.PROCESSING))
        because = f"account {account.id} and the challenge {order.chosen}"
        generations = CaGenerations(self._host.ca)
        use = partial(self._must_be_allowed, order, generations)
        proof = Proof(EnrolmentProtocol.ACME, because, use, account.id, order.replaces)
        try:
            issuer = EnrolmentIssuer(generations, self._host.management_db)
            made = issuer.issue(entry, key, proof, asked.at)
        except TooManyCertificatesError as wrong:
            orders.change(taken, order)
            raise AcmeProblemError("rateLimited", wrong.message, TOO_MANY, _AGAIN) from None
        except OperatorError:
            orders.change(taken, order)
            raise
        done = orders.change(taken, replace(taken, status=OrderStatus.VALID, chain=made.chain.decode()))
        self._host.issued(EnrolmentProtocol.ACME, entry.name, made.certificate)
        return self._order(asked, done)

    def certificate(self, asked: Asked) -> Answer:
        """Give the certificate with its issuers (RFC 8555 7.4.2)."""
        order = self._found(asked)
        if not order.chain:
            raise AcmeProblemError("malformed", "this order has no certificate", NOT_FOUND)
        return Answer(order.chain, media_type=PEM_CHAIN)

    def _must_be_allowed(self, order: AcmeOrder, generations: CaGenerations) -> None:
        """Raise unless the account is still valid, and no certificate of the name was revoked since the order was made.

        The challenge of the order says who had the server before.
        """
        account = self._host.management_db.acme_accounts.find(order.account)
        if account is not None:
            must_be_valid(account)
        last = last_revocation(generations, order.server, "", self._host.management_db.audit)
        if last is not None and last >= order.made:
            why = f"a certificate of {order.server} was revoked after this order was made; make a new order"
            raise NotEnrollableError(why)

    def _order(self, asked: Asked, order: AcmeOrder, status: int = 200) -> Answer:
        return Answer(order_objects.order(asked, order), status, {"Location": asked.link("order", order.id)})

    def _found(self, asked: Asked) -> AcmeOrder:
        """Return the order of the URL, if it is one of the account; raises `AcmeProblemError`."""
        order = self._host.management_db.acme_orders.find(asked.last)
        if order is None:
            raise AcmeProblemError("malformed", "there is no such order", NOT_FOUND)
        if order.account != asked.by.id:
            raise AcmeProblemError("unauthorized", "this order is of another account")
        return order.at(asked.at)

    def _goes_on(self, asked: Asked, order: AcmeOrder) -> Callable[[], None] | None:
        """Return what goes on with a validation that is to be done, also after a restart or on a new leader."""
        if (order.status, order.challenge) != (OrderStatus.PENDING, ChallengeStatus.PROCESSING):
            return None
        account = asked.by
        return lambda: self._validate(order, account)

    def _replaced(self, asked: Asked, given: object) -> str:
        """Return the serial number of the certificate that an order replaces (RFC 9773 5), "" for none."""
        if given is None:
            return ""
        serial = CertificateId.read(given).serial_hex
        found = self._host.management_db.enrolled_certificates.find(serial)
        if found is None or found.server != asked.by.server:
            raise AcmeProblemError("malformed", "the certificate in `replaces` is not one of this name", 400)
        if found.replaced_by:
            raise AcmeProblemError("alreadyReplaced", "the certificate in `replaces` was replaced already", CONFLICT)
        return serial


def _names(entry: Enrollable, members: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names for which an order is.

    Raises `AcmeProblemError` unless *entry* has them, its own is one of them, and the order leaves the validity to the CA.
    """
    if "notBefore" in members or "notAfter" in members or "profile" in members:
        raise AcmeProblemError("malformed", "the CA chooses the validity and the profile", 400)
    given = members.get("identifiers")
    if not isinstance(given, list) or not given or not all(isinstance(one, dict) for one in given):
        raise AcmeProblemError("malformed", "an order has a list of identifiers", 400)
    if not all(one.get("type") == "dns" for one in given):
        raise AcmeProblemError("unsupportedIdentifier", "an identifier has the type dns", 400)
    names = [ascii_lower(str(one.get("value"))) for one in given]
    bound = f"this account is bound to {entry.name}, which the topology gives {', '.join(entry.names)}"
    if others := [name for name in names if name not in entry.names]:
        raise AcmeProblemError("rejectedIdentifier", f"{others[0]!a} is refused: {bound}")
    if entry.name not in names:
        raise AcmeProblemError("rejectedIdentifier", f"the order does not ask for {entry.name}: {bound}")
    return tuple(dict.fromkeys(names))


def _requested(asked: Asked, order: AcmeOrder) -> OwnPublicKey:
    """Return the key of the signing request in a request; raises `AcmeProblemError`."""
    csr = asked.members.get("csr")
    try:
        der = base64url.decode(csr.encode("ascii")) if isinstance(csr, str) else b""
        key = requested_key(der, order.names)
    except UnfitRequestError as wrong:
        raise AcmeProblemError("badPublicKey" if wrong.is_key else "badCSR", wrong.why, 400) from None
    except (ValueError, binascii.Error):
        raise AcmeProblemError("badCSR", "csr is not base64url", 400) from None
    if key == asked.key.key:
        raise AcmeProblemError("badCSR", "the key of the account is not that of a certificate (RFC 8555 11.1)", 400)
    return key


def key_authorization(order: AcmeOrder, account: AcmeAccount) -> str:
    """Return what answers the challenge of an order (RFC 8555 8.1)."""
    return f"{order.token}.{account.thumbprint}"
