"""The revocation check of a whole path, from the path to the finding, as the judge makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.revocation.ocsp import NO_ANSWERS
from sipmesh.trust.revocation.path_status import check_listed, look_up
from sipmesh.trust.revocation.revocation_source import RevocationSource

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from cryptography import x509

    from sipmesh.trust.finding import Finding
    from sipmesh.trust.revocation.crl_set import RevocationLists
    from sipmesh.trust.revocation.ocsp import OcspAnswers


def check_path(
    path: Sequence[x509.Certificate],
    lists: RevocationLists,
    answers: OcspAnswers = NO_ANSWERS,
    *,
    at: datetime,
    grace: timedelta,
    source: RevocationSource = RevocationSource.LISTS,
) -> Finding:
    """Check every certificate of *path* (leaf first, without the anchor) with *lists* and *answers*, as *source* requires."""
    return check_listed(look_up(path, lists, answers), (lists, answers), at=at, grace=grace, source=source)
