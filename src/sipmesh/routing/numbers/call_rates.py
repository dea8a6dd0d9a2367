"""New calls in a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.routing.numbers.trunk_table import TrunkRoute


class CallRates:
    """The new calls of each trunk in the present second, in each direction."""

    def __init__(self) -> None:
        self._second = 0
        self._counts: dict[tuple[str, bool], int] = {}

    def admits(self, trunk: TrunkRoute, now: float, *, inwards: bool) -> bool:
        """Tell whether *trunk* may have one more call in the second of *now*."""
        self._turn(int(now))
        most = trunk.calls_per_second
        return most is None or self._counts.get((trunk.name, inwards), 0) < most

    def count(self, trunk: TrunkRoute, *, inwards: bool) -> None:
        """Count one more call of *trunk*."""
        key = trunk.name, inwards
        self._counts[key] = self._counts.get(key, 0) + 1

    def _turn(self, second: int) -> None:
        if second != self._second:
            self._second, self._counts = second, {}
