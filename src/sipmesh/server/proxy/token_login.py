"""The login of a user by an access token, on one link."""

from __future__ import annotations

from dataclasses import dataclass

from sipmesh.topology.document.parts.oauth import OAuth


@dataclass(frozen=True, slots=True)
class TokenLogin:
    """It was judged by the rules of *oauth*, and ends at the loop time *ends_at*; the others are those of `AccessToken`."""

    oauth: OAuth
    ends_at: float
    issued_at: float
    session: str
