"""The check of TLSA records: beside the CA of a partner (`dane: check`), or in place of it (`dane: only`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.code import Code
from sipmesh.trust.dane.tlsa import DANE_EE, DaneStatus
from sipmesh.trust.finding import CheckQuestion, Finding
from sipmesh.trust.formatting import tell_time

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.trust.dane.tlsa import TlsaAnswer
    from sipmesh.trust.judgement.evaluation import Evaluation


def dane(evaluation: Evaluation) -> Finding | None:
    """Check the certificate with the TLSA records of a partner, beside its CA, or in place of it with `dane: only`.

    None if DNS is not asked, or there is no path. A link that is up stays: records change before certificates do.
    """
    authority, path = evaluation.trail.authority, evaluation.trail.path
    if evaluation.by_dane:
        return _dane_only(evaluation)
    if authority is None or authority.tlsa is None or not path:
        return None
    told, where = authority.tlsa, f"DNS says of {authority.tlsa.name}"
    if evaluation.live:
        return _DANE.passed("accepted, because this link was up before")
    if told.status in {DaneStatus.BOGUS, DaneStatus.UNKNOWN}:
        return _DANE.refused(f"{where}: {told.told}", Code.DANE_UNKNOWN)
    counting = told.records if told.status is DaneStatus.SECURE else ()
    if not counting or any(record.matches(path) for record in counting):
        lack = "a TLSA record matches" if counting else "no secure TLSA record, so only the CA counts"
        return _DANE.passed(f"{where}: {lack}")
    return _DANE.refused(f"{where}: none of {len(told.records)} TLSA records matches", Code.DANE_MISMATCH)


def _dane_only(evaluation: Evaluation) -> Finding:
    """Check that a secure TLSA record of usage 2 or 3 names the end of the path, in place of a CA.

    A link that is up ends too when its record is gone: there is no CRL that could name its certificate.
    """
    told = evaluation.peer.authority.tlsa if evaluation.peer is not None else None
    if told is None or told.status in {DaneStatus.BOGUS, DaneStatus.UNKNOWN}:
        saw = f"DNS says of {told.name}: {told.told}" if told is not None else "DNS was not asked"
        return _DANE_ONLY.refused(saw, Code.DANE_UNKNOWN)
    where, records = f"DNS says of {told.name}", told.asserted(evaluation.at)
    if not records:
        return _DANE_ONLY.refused(f"{where}: {_lack(told, evaluation.at)}", Code.DANE_REQUIRED)
    path = evaluation.trail.path
    if path and any(record.matches(path) for record in records if (record.usage == DANE_EE) == (len(path) == 1)):
        return _DANE_ONLY.passed(f"{where}: a TLSA record matches; {told.told}")
    return _DANE_ONLY.refused(
        f"{where}: none of {len(records)} TLSA records of usage 2 or 3 leads to it", Code.DANE_MISMATCH
    )


def _lack(told: TlsaAnswer, at: datetime) -> str:
    """Say why no record of an answer counts in place of a CA."""
    if told.status is DaneStatus.SECURE and told.until is not None and at > told.until:
        return f"the last answer was signed until {tell_time(told.until)}; the clock here says {tell_time(at)}"
    return f"no TLSA record of usage 2 or 3; {told.told}"


_DANE_ONLY = CheckQuestion(
    "dane", "a TLSA record of usage 2 or 3 that matches, which DNSSEC proves (`dane: only`)", "RFC 7671 4, 5; rule R12"
)
_DANE = CheckQuestion("dane", "a TLSA record that matches, where DNSSEC proves one", "RFC 6698 2.1; RFC 7671 5")
