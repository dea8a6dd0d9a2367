"""When a certificate is renewed: at the time that its CA names, and at the latest when a third of its lifetime is left."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sipmesh.transport.tls.certificate_choice import names_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from cryptography import x509

PARTS = 3


def due_at(leaf: x509.Certificate, named: datetime | None) -> datetime:
    """Return when *leaf* is due; *named* is the time of the CA, None without one. A late one does not count."""
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    latest = ends - max((ends - begins) / PARTS, timedelta(0))
    return latest if named is None else min(named, latest)


def is_for(leaf: x509.Certificate, names: Collection[str]) -> bool:
    """Tell whether *leaf* has exactly these *names*."""
    return names_of(leaf) == frozenset(names)
