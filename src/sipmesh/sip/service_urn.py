"""Service URNs (RFC 5031): ``urn:service:sos`` calls an emergency service, which has other numbers in other countries."""

from __future__ import annotations

import re
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.sip.text import ascii_lower, shown
from sipmesh.sip.uri import SipUri

URN: Final = "urn:service:"
NO_NUMBER: Final = "service.invalid"
"""The host of the SIP form of a service URN, which has no domain of its own (RFC 2606: ``.invalid`` never exists)."""

SOS: Final = "sos"
LONGEST_SERVICE: Final = 128
"""Characters of a service with its sub-services. RFC 5031 bounds the first label alone, at 27."""

# RFC 5031 section 3: service = top-level *("." sub-service), each let-dig [*let-dig-hyp let-dig].
_SERVICE: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,25}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.ASCII)


def is_service_urn(text: str) -> bool:
    """Tell whether a URI is a service URN; its scheme and its namespace are read without case (RFC 8141 section 3.1)."""
    return ascii_lower(text[: len(URN)]) == URN


def service_form(text: str) -> SipUri:
    """Give the SIP form of a service URN: the service in lower case, at the host `NO_NUMBER`. RemoteError 400 if malformed.

    Services are compared without case (RFC 5031 section 3). They have no escapes, parameters and fragments.
    """
    service = ascii_lower(text[len(URN) :])
    if len(service) > LONGEST_SERVICE or _SERVICE.fullmatch(service) is None:
        raise RemoteError(f"not a service URN: {shown(text)}", rule="RFC 5031 section 3")
    return SipUri("sip", service, None, NO_NUMBER)


def service_in(uri: SipUri) -> str:
    """Give the service of which *uri* is the SIP form, such as ``sos.police``; "" if it is none."""
    return (uri.user or "") if uri.host == NO_NUMBER else ""
