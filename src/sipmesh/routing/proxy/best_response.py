"""The best final response of a response context, with the challenges of all its branches (RFC 3261 16.7 items 6 and 7)."""

from __future__ import annotations

from typing import Final

from sipmesh.sip.message import Response
from sipmesh.sip.status import FIRST_GLOBAL_FAILURE, Status
from sipmesh.sip.text import octets_of

CHALLENGES: Final[dict[int, str]] = {
    Status.UNAUTHORIZED: "www-authenticate",
    Status.PROXY_AUTHENTICATION_REQUIRED: "proxy-authenticate",
}
MAX_CHALLENGES: Final = 8
"""Challenges that are merged, for a few realms and algorithms (RFC 8760 2.3). A client reads each of them."""
MAX_CHALLENGE_OCTETS: Final = 16384
"""Octets of all merged challenges. With them, the header is still below the limit of the next hop."""
PREFERRED: Final = (401, 407, 415, 420, 484)
"""Within a class: "preference SHOULD be given to responses that provide information affecting resubmission"."""


class BestResponse:
    """The best of the final responses that have come. *is_weak*: it is a 404 of a server that was only asked."""

    __slots__ = ("challenged", "challenges", "is_weak", "response")

    def __init__(self, response: Response, *, is_weak: bool = False) -> None:
        self.response, self.is_weak = response, is_weak
        self.challenges: list[tuple[str, str]] = []
        self.challenged = 0  # number of challenges received, including those that were dropped
        self._keep_challenges(response)

    @property
    def status(self) -> int:
        """The status code of the best response."""
        return self.response.status

    def consider(self, response: Response) -> None:
        """Keep the better response (RFC 3261 section 16.7 item 6) and every challenge (item 7)."""
        self._keep_challenges(response)
        if self.is_weak or rank(response.status) < rank(self.response.status):
            self.response, self.is_weak = response, False

    def _keep_challenges(self, response: Response) -> None:
        """Keep challenges up to the limits, so that one branch cannot make the response too large."""
        field_name = CHALLENGES.get(response.status)
        if not field_name:
            return
        values = response.values(field_name)
        self.challenged += len(values)
        left = MAX_CHALLENGE_OCTETS - sum([len(octets_of(value)) for _, value in self.challenges])
        for value in values:
            size = len(octets_of(value))
            if size <= left and len(self.challenges) < MAX_CHALLENGES:
                self.challenges.append((field_name, value))
                left -= size

    def merged(self) -> Response:
        """Give the best response with the challenges of all branches that were kept (RFC 3261 section 16.7 item 7)."""
        response = self.response
        if response.status not in CHALLENGES or self.challenged <= 1 or not self.challenges:
            return response
        merged = response.copy()
        for name in CHALLENGES.values():
            merged.remove(name)
        for name, value in self.challenges:
            merged.append(name, value)
        return merged


def rank(status: int) -> tuple[int, int, int]:
    """Give the sort key of a final response, best first: any 6xx, then the lowest class, then PREFERRED responses.

    480 and 408 come last in their class: we make them ourselves for a lost flow or a timeout, and a real response says more.
    """
    kind = 0 if status >= FIRST_GLOBAL_FAILURE else status // 100
    helpful = PREFERRED.index(status) if status in PREFERRED else len(PREFERRED)
    return kind, helpful, 1 if status in {Status.REQUEST_TIMEOUT, Status.TEMPORARILY_UNAVAILABLE} else 0
