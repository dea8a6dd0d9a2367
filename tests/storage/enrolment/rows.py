"""Rows of enrolment for the tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from sipmesh.storage.enrolment.acme_accounts import AcmeAccount
from sipmesh.storage.enrolment.acme_orders import AcmeOrder
from sipmesh.storage.enrolment.enrolled_certificates import EnrolledCertificate
from sipmesh.storage.enrolment.enrolment_tokens import EnrolmentToken

BOT, OTHER = "bot1.example.test", "bot2.example.test"
NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
AT = NOON.timestamp()
HOUR_S = 3600.0


def token(number: int = 1, server: str = BOT, expires: float = AT + HOUR_S) -> EnrolmentToken:
    """A token whose secret is its id."""
    name = f"t{number}"
    return EnrolmentToken(name, server, sha256(name.encode()).hexdigest(), "ada", expires)


def account(number: int = 1, server: str = BOT) -> AcmeAccount:
    """An account whose key is its number."""
    return AcmeAccount(f"a{number}", server, "t1", "{}", f"key {number}", "valid", "[]", AT)


def order(number: int = 1, owner: str = "a1", made: datetime = NOON) -> AcmeOrder:
    """An order for the name of the account."""
    return AcmeOrder(f"o{number}", owner, BOT, (BOT,), "token", made, made + timedelta(hours=1))


def certificate(serial: str, at: float = AT, server: str = BOT) -> EnrolledCertificate:
    """A certificate."""
    return EnrolledCertificate(serial, server, "a1", "acme", at)
