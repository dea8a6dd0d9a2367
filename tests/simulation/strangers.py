"""Names that no user has: each front end challenges such a name alike, or else the challenges would tell who the users are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulation.checks import DELAY_DOCUMENTS
from simulation.operations import PROMISE_S
from simulation.phone import STRANGER
from sipmesh.sip.digest import Algorithm, parse_challenge
from sipmesh.sip.status import Status
from support.network import EXAMPLE

if TYPE_CHECKING:
    from simulation.phone import Phone
    from simulation.world import World
    from sipmesh.sip.message import Response

NAMES: Final = 8


class Strangers:
    """The algorithms that each name was offered, for each state of the users."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._offered: dict[tuple[str, int], tuple[Algorithm | None, ...]] = {}

    @staticmethod
    def name(draw: float) -> str:
        """Return one of the names."""
        return f"{STRANGER}{int(NAMES * draw)}@{EXAMPLE}"

    def challenged(self, phone: Phone, aor: str, response: Response) -> None:
        """A REGISTER of *aor* on the link of *phone* was challenged."""
        operations, now = self.world.operations, self.world.loop.now
        troubled_at = max(self.world.troubled_at(DELAY_DOCUMENTS), operations.users_changed_at)
        if response.status != Status.UNAUTHORIZED or now - troubled_at < PROMISE_S:
            return
        challenges = [parse_challenge(value) for value in response.values("www-authenticate")]
        offered = tuple(challenge.algorithm for challenge in challenges)
        known = self._offered.setdefault((aor, operations.user_changes), offered)
        if known != offered:
            what = f"{aor} is offered {offered} by {phone.server}, and was offered {known}"
            self.world.violated("a name without a user is challenged alike", what)
