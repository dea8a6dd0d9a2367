"""OpenSSL's path check without a handshake: the result of the first engine for a chain from a file or a document."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from OpenSSL import crypto

from sipmesh.trust.evidence import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509


def path_errors(
    chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], at: datetime | None = None
) -> tuple[EngineError, ...]:
    """Return OpenSSL's errors for *chain* (leaf first), as in a handshake; empty if there are none.

    The extended key usage is not checked here: the judge checks it. *at* is the time of the check, with a time zone; None is the
    machine's clock.
    """
    store = crypto.X509Store()
    for anchor in anchors:
        store.add_cert(crypto.X509.from_cryptography(anchor))
    store.set_flags(crypto.X509StoreFlags.X509_STRICT)
    if at is not None:
        store.set_time(at.astimezone(UTC))  # set_time ignores the time zone
    leaf, *others = map(crypto.X509.from_cryptography, chain)
    try:
        crypto.X509StoreContext(store, leaf, others).verify_certificate()
    except crypto.X509StoreContextError as error:
        code, depth, text = error.errors[0], error.errors[1], error.errors[2]
        return (EngineError(int(depth), int(code), str(text)),)
    return ()
