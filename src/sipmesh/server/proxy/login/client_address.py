"""The address of a client at another server, as that server tells it in its Path: failed logins are counted for it.

Each server on the way of a carried flow writes what it has seen itself. A Via tells less: behind two servers the second one is
that of a server, and those below it are the client's own words.
"""

from __future__ import annotations

import re
from typing import Final

from sipmesh.routing.authentication.backoff import network_of
from sipmesh.sip.fields import NameAddr

RECEIVED: Final = "received"
"""The parameter of the Path URI; other proxies use this name too."""

BY: Final = " by "
_JOINED: Final = "+"
_PLAIN: Final = re.compile(r"[0-9A-Za-z.:/+-]{1,200}")
_UNKNOWN: Final = "a client"


def received_parameter(remote: str) -> str:
    """Write the address of a client for a Path; *remote* is that of its link, or of a carried flow as in `client_address`."""
    text = _JOINED.join(network_of(remote).split(BY))
    return f";{RECEIVED}={text}" if _PLAIN.fullmatch(text) else ""


def client_address(path: str, access: str) -> str:
    """Return the client's network as the server *access* has written it into *path*, with the names of the servers between."""
    text = NameAddr.parse(path).sip_uri.param(RECEIVED)
    seen = text.replace(_JOINED, BY) if text is not None and _PLAIN.fullmatch(text) else _UNKNOWN
    return f"{seen}{BY}{access}"
