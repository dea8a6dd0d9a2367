"""Accounts of ACME (RFC 8555 7.3): made with an external account binding only, changed, deactivated, given another key."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, Final

from sipmesh.server.enrolment.acme.asked import CREATED, Answer
from sipmesh.server.enrolment.acme.jwk import Jwk
from sipmesh.server.enrolment.acme.jws import Jws
from sipmesh.server.enrolment.enrollable import enrollable
from sipmesh.server.enrolment.new_token import ID_OCTETS, MacSecret
from sipmesh.server.enrolment.problem import AcmeProblemError
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.enrolment.acme_accounts import AccountStatus, AcmeAccount, KeyInUseError, TooManyAccountsError
from sipmesh.storage.enrolment.enrolment_tokens import TokenRefusedError, must_be_usable
from sipmesh.strict_json import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipmesh.server.enrolment.acme.asked import Asked
    from sipmesh.server.enrolment.enrolment_host import EnrolmentHost
    from sipmesh.storage.enrolment.enrolment_tokens import EnrolmentToken

MOST_CONTACTS: Final = 4
LONGEST_CONTACT: Final = 256
CONFLICT: Final = 409
_UNBOUND: Final = "the external account binding names no token, or has not the MAC (HS256) of its key"


class AccountRequests:
    """Answers the requests about accounts."""

    def __init__(self, host: EnrolmentHost) -> None:
        self._host = host

    def new_account(self, asked: Asked) -> Answer:
        """Make an account, or find that of the key (RFC 8555 7.3, 7.3.1)."""
        members, accounts = asked.members, self._host.management_db.acme_accounts
        known = accounts.of_key(asked.key.thumbprint)
        if known is not None:
            must_be_valid(known)
            return self._answer(asked, known)
        if members.get("onlyReturnExisting") is True:
            raise AcmeProblemError("accountDoesNotExist", "there is no account with this key", 400)
        contact = _contact(members)
        token = self._bound(asked, members)
        account = _account(asked, token, contact)
        try:
            accounts.add(account, token)
        except TokenRefusedError as wrong:
            raise AcmeProblemError("unauthorized", wrong.message) from None
        except TooManyAccountsError as wrong:
            raise AcmeProblemError("rateLimited", wrong.message, 429) from None
        about = {"server": account.server, "account": account.id, "token": token.id}
        self._host.management_db.audit.append(account.server, AuditAct.ENROL, about, at=asked.at)
        return self._answer(asked, account, CREATED)

    def account(self, asked: Asked) -> Answer:
        """Show, change or deactivate an account (RFC 8555 7.3.2, 7.3.6)."""
        account = asked.by
        if asked.last != account.id:
            raise AcmeProblemError("unauthorized", "this is the account of another key")
        members = {} if asked.is_read else asked.members
        values = {"contact": json.dumps(_contact(members))} if "contact" in members else {}
        if "status" in members:
            if members["status"] != AccountStatus.DEACTIVATED:
                raise AcmeProblemError("malformed", "the only status that a client sets is deactivated", 400)
            values["status"] = str(AccountStatus.DEACTIVATED)
        if values:
            self._host.management_db.acme_accounts.change(account.id, **values)
        if "status" in values:
            about = {"server": account.server, "account": account.id, "status": values["status"]}
            self._host.management_db.audit.append(account.server, AuditAct.ENROL, about, at=asked.at)
        return self._answer(asked, self._host.management_db.acme_accounts.find(account.id) or account)

    def change_key(self, asked: Asked) -> Answer:
        """Give an account another key, which proves itself (RFC 8555 7.3.5)."""
        account, inner = asked.by, Jws.read(asked.jws.payload)
        if inner.kid is not None or "nonce" in inner.header or inner.url != asked.url:
            raise AcmeProblemError("malformed", "the inner JWS has the new key as jwk, the same url, and no nonce", 400)
        key, members = Jwk.read(inner.header.get("jwk")), inner.members()
        inner.must_be_signed_by(key)
        is_of_account = members.get("account") == asked.jws.kid
        if not is_of_account or Jwk.read(members.get("oldKey")).text != account.jwk:
            raise AcmeProblemError("malformed", "the inner JWS does not name the account and its present key", 400)
        try:
            self._host.management_db.acme_accounts.change(account.id, jwk=key.text, thumbprint=key.thumbprint)
        except KeyInUseError as wrong:
            raise AcmeProblemError("malformed", wrong.message, CONFLICT) from None
        about = {"server": account.server, "account": account.id, "key": key.thumbprint}
        self._host.management_db.audit.append(account.server, AuditAct.ENROL, about, at=asked.at)
        return self._answer(asked, account)

    def _bound(self, asked: Asked, members: Mapping[str, Any]) -> EnrolmentToken:
        """Return the token to which a request binds its key (RFC 8555 7.3.4); raises `AcmeProblemError`."""
        if "externalAccountBinding" not in members:
            why = "an account needs an external account binding: sipmesh ca enrol NAME gives key id and MAC key"
            raise AcmeProblemError("externalAccountRequired", why)
        binding = Jws.read(members["externalAccountBinding"])
        if "nonce" in binding.header or binding.url != asked.url or binding.kid is None:
            raise AcmeProblemError(
                "malformed", "the external account binding has a kid, the same url, and no nonce", 400
            )
        token = self._host.management_db.enrolment_tokens.find(binding.kid)
        if token is None:
            raise AcmeProblemError("unauthorized", _UNBOUND)
        binding.must_have_mac_of(MacSecret.read(self._host.ca).mac_key(token.id))
        if Jwk.read(binding.members()).text != asked.key.text:
            raise AcmeProblemError("unauthorized", "the external account binding is for another key")
        try:
            must_be_usable(token, asked.at.timestamp())
        except TokenRefusedError as wrong:
            raise AcmeProblemError("unauthorized", wrong.message) from None
        enrollable(self._host.view(), token.server)
        return token

    def _answer(self, asked: Asked, account: AcmeAccount, status: int = 200) -> Answer:
        body = {
            "status": account.status,
            "contact": read_json(account.contact),
            "orders": asked.link("orders", account.id),
        }
        return Answer(body, status, {"Location": asked.link("account", account.id)})


def must_be_valid(account: AcmeAccount) -> None:
    """Raise `AcmeProblemError` for an account that was deactivated or revoked."""
    if account.status == AccountStatus.VALID:
        return
    why = f"the account is {account.status}"
    if account.status == AccountStatus.REVOKED:
        remedy = "make an account with another key and a new token"
        why = f"{why}, by an operator, or with a certificate or the entry of {account.server}; {remedy}"
    raise AcmeProblemError("unauthorized", f"{why}: sipmesh ca enrol {account.server}", 401)


def _account(asked: Asked, token: EnrolmentToken, contact: list[str]) -> AcmeAccount:
    return AcmeAccount(
        id=secrets.token_hex(ID_OCTETS),
        server=token.server,
        token=token.id,
        jwk=asked.key.text,
        thumbprint=asked.key.thumbprint,
        status=str(AccountStatus.VALID),
        contact=json.dumps(contact),
        made=asked.at.timestamp(),
    )


def _contact(members: Mapping[str, Any]) -> list[str]:
    """Return the contacts of an account; nothing is ever sent to them. Raises `AcmeProblemError`."""
    given = members.get("contact", [])
    is_list = isinstance(given, list) and len(given) <= MOST_CONTACTS
    if not is_list or not all(isinstance(one, str) and len(one) <= LONGEST_CONTACT for one in given):
        why = f"contact is a list of at most {MOST_CONTACTS} URLs of {LONGEST_CONTACT} characters"
        raise AcmeProblemError("invalidContact", why, 400)
    if not all(one.startswith("mailto:") for one in given):
        raise AcmeProblemError("unsupportedContact", "a contact is a mailto URL", 400)
    return [str(one) for one in given]
