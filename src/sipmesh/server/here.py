"""Who this server is in the dialogs of our event package."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sipmesh.distribution.event import Here
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.topology.view import ServerView


def here(view: ServerView) -> Here:
    """Return our identity in the dialogs of our event package."""
    spec = next(listener for listener in view.listeners if listener.kind is LinkKind.SERVER)
    return Here(view.name, f"{spec.name}:{spec.port}", lambda: secrets.token_hex(12))
