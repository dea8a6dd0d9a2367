"""The revocation status of a certificate path, by CRLs and OCSP responses (RFC 5280 6.3.3). A missing CRL is a failure."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

from sipmesh.trust.code import Code
from sipmesh.trust.finding import CheckQuestion, Finding
from sipmesh.trust.formatting import tell, tell_list, tell_time
from sipmesh.trust.revocation.crl_scope import distribution_points
from sipmesh.trust.revocation.ocsp import NO_ANSWERS, OcspSigner, delegate_to_ask_for
from sipmesh.trust.revocation.ocsp import standing as answered
from sipmesh.trust.revocation.revocation_source import RevocationSource

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from cryptography import x509

    from sipmesh.trust.revocation.crl import RevocationList
    from sipmesh.trust.revocation.crl_set import RevocationLists
    from sipmesh.trust.revocation.ocsp import OcspAnswers, OcspStatus

MOST_URLS = 2
CHECK = "revocation"
RULE = "RFC 5280 6.3.3; rule R7, R12"
OCSP_RULE = "RFC 5280 6.3.3; RFC 6960 3.2; rule R7, R12"


class Listed(NamedTuple):
    """One certificate of a path, with its CRL and OCSP responses. Nothing in it depends on the time."""

    serial: int
    issuer: str
    held: RevocationList | None
    replies: tuple[Heard, ...] = ()
    urls: tuple[str, ...] = ()  # where the certificate says that its CRL is, if there is none


class Heard(NamedTuple):
    """An OCSP status. *delegate* is the entry of the certificate that signed it, if that certificate must be checked too."""

    reply: OcspStatus
    delegate: Listed | None = None


def look_up(
    path: Sequence[x509.Certificate], lists: RevocationLists, answers: OcspAnswers = NO_ANSWERS
) -> tuple[Listed, ...]:
    """Find the CRL and OCSP responses for each certificate of *path*. The anchor has none: it cannot be revoked."""
    return tuple(
        _entry(certificate, issuer, lists.find(certificate, issuer, _namesakes(path[depth + 1 :])), lists, answers)
        for depth, (certificate, issuer) in enumerate(pairwise(path))
    )


def _entry(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    held: RevocationList | None,
    lists: RevocationLists,
    answers: OcspAnswers,
) -> Listed:
    replies = tuple(_hear(reply, issuer, lists) for reply in answers.find(certificate, issuer)) if answers else ()
    urls = () if held is not None else tuple(map(tell, islice(distribution_points(certificate), MOST_URLS)))
    return Listed(certificate.serial_number, issuer.subject.rfc4514_string(), held, replies, urls)


def _namesakes(above: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Return the certificates with older keys of a CA. *above* is the path from that CA's certificate to the anchor.

    A CA that changes its key issues a self-issued certificate for the new key, and may sign CRLs with either key (RFC 5280
    6.3.3 (f)). Only keys closer to the anchor are accepted: a revoked CA, or a CA below it, must not sign a statement about
    its own status.
    """
    found: list[x509.Certificate] = []
    for certificate, issuer in pairwise(above):
        if certificate.subject != certificate.issuer or issuer.subject != certificate.subject:
            break
        found.append(issuer)
    return found


def _hear(reply: OcspStatus, issuer: x509.Certificate, lists: RevocationLists) -> Heard:
    delegate = delegate_to_ask_for(reply)
    if delegate is None:
        return Heard(reply)
    return Heard(reply, Listed(delegate.serial_number, issuer.subject.rfc4514_string(), lists.find(delegate, issuer)))


def status_by_list(
    serial: int, crl: RevocationList | None, at: datetime, grace: timedelta, *, live: bool = False
) -> tuple[str, Code | None]:
    """Give the status of *serial* at the instant *at* as text, and the code of a refusal, or None if it is good.

    For a *live* link an expired CRL is accepted. All other failures refuse it too.
    """
    if crl is None:
        return "no CRL of this issuer", Code.REVOCATION_UNKNOWN
    if serial in crl.serials:
        return f"serial {serial:x} is on CRL {crl.number} of {tell_time(crl.this_update)}", Code.REVOKED
    if at < crl.this_update:
        saw = f"the thisUpdate of CRL {crl.number} is {tell_time(crl.this_update)}; the clock here says {tell_time(at)}"
        return saw, Code.REVOCATION_UNKNOWN
    if at > crl.next_update + grace:
        saw = f"CRL {crl.number} expired at {tell_time(crl.next_update)}; the clock here says {tell_time(at)}"
        return (f"{saw}; accepted, because this link was up before", None) if live else (saw, Code.REVOCATION_UNKNOWN)
    return crl.in_force, None


def _believed(heard: Heard, at: datetime, grace: timedelta, *, live: bool) -> OcspStatus:
    """Return the reply. It gets a fault if the certificate of the delegate that signed it is not good."""
    if heard.delegate is None:
        return heard.reply
    saw, code = status_by_list(heard.delegate.serial, heard.delegate.held, at, grace, live=live)
    if code is None:
        return heard.reply
    return heard.reply._replace(
        signer=OcspSigner(f"an OCSP responder whose certificate needs an OCSP check itself: {saw}")
    )


def _status(
    entry: Listed, at: datetime, grace: timedelta, source: RevocationSource, *, live: bool
) -> tuple[str, Code | None]:
    """Combine CRL and OCSP as *source* requires. A certificate that either of them revokes is revoked."""
    by_list = status_by_list(entry.serial, entry.held, at, grace, live=live)
    if entry.urls:
        by_list = (f"{by_list[0]}, which is at {tell_list(entry.urls)} as the certificate says", by_list[1])
    if source is RevocationSource.LISTS and not entry.replies:
        return by_list
    replies = [_believed(heard, at, grace, live=live) for heard in entry.replies]
    by_answer = answered(replies, at=at, grace=grace, live=live)
    by_either = by_list if entry.held is not None else by_answer
    deciding = {
        RevocationSource.LISTS: (by_list,),
        RevocationSource.ANSWERS: (by_either,),
        RevocationSource.BOTH: (by_list, by_answer),
    }[source]
    revoked = (voice for voice in (by_list, by_answer) if voice[1] is Code.REVOKED)
    refused = (voice for voice in deciding if voice[1] is not None)
    worst = next(revoked, None) or next(refused, None)
    return worst or ("; ".join(saw for saw, _ in deciding), None)


_QUESTIONS = {
    RevocationSource.LISTS: CheckQuestion(CHECK, "no certificate of the path on a current CRL", RULE),
    RevocationSource.ANSWERS: CheckQuestion(
        CHECK, "every certificate of the path good, by a current CRL or OCSP response", OCSP_RULE
    ),
    RevocationSource.BOTH: CheckQuestion(
        CHECK, "every certificate of the path good, by a current CRL and a current OCSP response", OCSP_RULE
    ),
}


def check_listed(
    listed: Sequence[Listed],
    sources: tuple[RevocationLists, OcspAnswers],
    *,
    at: datetime,
    grace: timedelta,
    source: RevocationSource = RevocationSource.LISTS,
    live: bool = False,
) -> Finding:
    """Check each entry of *listed*. *sources* are the CRLs and responses that it was looked up in; their faults are reported.

    A revoked certificate comes before a missing CRL in the finding. *live* is for a link that is up and is judged again: an
    expired CRL blocks new links, but existing links stay up until a certificate expires (rule R7).
    """
    asked = _QUESTIONS[source]
    good: list[str] = []
    failed: list[Finding] = []
    for entry in listed:
        standing, code = _status(entry, at, grace, source, live=live)
        saw = f"{entry.issuer}: {standing}"
        good.append(saw)
        if code is not None:
            faults = [fault for kind in sources for fault in kind.faults]
            why = f" ({'; '.join(faults)})" if faults and entry.held is None else ""
            failed.append(asked.refused(saw + why, code))
    if failed:
        return min(failed, key=lambda entry: entry.code is not Code.REVOKED)
    return asked.passed("; ".join(good) or "the path is an anchor")
