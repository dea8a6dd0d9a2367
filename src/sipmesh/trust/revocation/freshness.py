"""Check a new CRL or OCSP response before it replaces the current one.

The judge checks both again at use. These checks are against an attacker in place of the publisher: invalid data or an older
version must not replace a valid CRL or response.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sipmesh.trust.formatting import tell, tell_time
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_decoding import UnusableListError
from sipmesh.trust.revocation.ocsp import OcspAnswer, OcspAnswers, UnusableAnswerError, counts_until, untimely

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from cryptography import x509

    from sipmesh.trust.revocation.ocsp import OcspStatus

SKEW = timedelta(minutes=5)
"""How far the clock of a CA may be ahead of ours."""

_NO_GRACE = timedelta(0)


def _nowhere(_crl: RevocationList) -> bool:
    """Tell that no other source has a CRL."""
    return False


def look_at_list(
    new: RevocationList,
    current: RevocationList | None,
    issuers: Sequence[x509.Certificate],
    *,
    at: datetime,
    is_elsewhere: Callable[[RevocationList], bool] = _nowhere,
) -> RevocationList:
    """Check a new CRL that is to replace *current* at the instant *at*; returns *new*.

    Args:
        new: The new CRL.
        current: The current CRL of this source, or None.
        issuers: Known CA certificates of the authority. If one has the name of the CRL's issuer, it must have signed it. A CRL
            of another CA is checked when a handshake brings the certificate of that CA.
        at: Timezone-aware.
        is_elsewhere: Tells whether another source of the authority has a CRL of the same CA and scope, which is not older.

    Raises:
        UnusableListError: *current* must be kept. The text says why.
    """
    if new.next_update <= at:
        raise UnusableListError(f"CRL {new.number} expired at {tell_time(new.next_update)}")
    if new.this_update > at + SKEW:
        raise UnusableListError(f"CRL {new.number} begins only at {tell_time(new.this_update)}")
    if new.is_forged(issuers):
        raise UnusableListError(f"is not signed by {_issuer(new)}, its issuer by name")
    if current is not None and _keeps_out(current, new, issuers, is_elsewhere):
        _follows(new, current, at)
    return new


def _keeps_out(
    current: RevocationList,
    new: RevocationList,
    issuers: Sequence[x509.Certificate],
    is_elsewhere: Callable[[RevocationList], bool],
) -> bool:
    """Return whether *current* keeps out an older CRL, and a CRL of another CA.

    A CRL is accepted before its CA is known, because the CA arrives in a handshake only. So an attacker in place of the publisher
    can have a forged CRL accepted, with a nextUpdate of any year. It must not stay after the CA is known: then its signature is
    wrong, or the signature of *new* is the only one that is confirmed. The attacker may also answer with the CRL of
    another CA of the partner, which is public: that is of no use here, because another source has it.
    """
    if current.is_forged(issuers) or is_elsewhere(current):
        return False
    return current.is_confirmed(issuers) or not new.is_confirmed(issuers) or is_elsewhere(new)


def _follows(new: RevocationList, current: RevocationList, at: datetime) -> None:
    """Refuse a CRL of another CA or scope while the current CRL is valid, and an older CRL always.

    A CRL of a clock that is ahead has to wait too: until its thisUpdate, no certificate is accepted by it.
    """
    if new.issuer_der != current.issuer_der:
        if at <= current.next_update:
            raise UnusableListError(f"is a CRL of {_issuer(new)}, and the current CRL is of {_issuer(current)}")
        return
    if (new.scope, new.base is None) != (current.scope, current.base is None) and at <= current.next_update:
        raise UnusableListError("has another scope than the current CRL")
    if new.this_update > at >= current.this_update and at <= current.next_update:
        raise UnusableListError(
            f"CRL {new.number} begins only at {tell_time(new.this_update)}, and the current is valid"
        )
    if (new.this_update, new.number) < (current.this_update, current.number):
        raise UnusableListError(f"CRL {new.number} is older than the current CRL {current.number}")


def _issuer(crl: RevocationList) -> str:
    return tell(crl.issuer.rfc4514_string())


def look_at_answer(
    data: bytes, about: tuple[x509.Certificate, x509.Certificate], current: OcspAnswer | None, *, at: datetime
) -> OcspAnswer:
    """Parse an OCSP response for *about*, a certificate and its issuer, that is to replace *current* at the instant *at*.

    Any status is accepted from an allowed responder, if the response is valid now.

    Raises:
        UnusableAnswerError: *current* must be kept. The text says why.
    """
    new = OcspAnswer.load(data)
    replies = _replies(new, about)
    if not replies:
        raise UnusableAnswerError("the OCSP response is for another certificate")
    faults = [reply.signer.fault or untimely(reply, at, _NO_GRACE) for reply in replies]
    if "" not in faults:
        raise UnusableAnswerError("; ".join(dict.fromkeys(faults)))
    if current is not None and _made(replies) < _made(_replies(current, about)):
        raise UnusableAnswerError(
            f"the OCSP response of {tell_time(max(_made(replies)))} is older than the current response"
        )
    return new


def answer_ends(answer: OcspAnswer, about: tuple[x509.Certificate, x509.Certificate]) -> datetime | None:
    """Return until when *answer* is valid for that certificate; None if it is for another certificate."""
    return max((counts_until(reply) for reply in _replies(answer, about) if not reply.signer.fault), default=None)


def _replies(answer: OcspAnswer, about: tuple[x509.Certificate, x509.Certificate]) -> tuple[OcspStatus, ...]:
    return OcspAnswers([answer]).find(*about)


def _made(replies: Sequence[OcspStatus]) -> list[datetime]:
    """Give the thisUpdate of the newest reply without a fault, as a list of one item or none."""
    return sorted((reply.single.this_update_utc for reply in replies if not reply.signer.fault), reverse=True)[:1]
