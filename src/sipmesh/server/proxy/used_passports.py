"""The PASSporTs that were accepted lately: each counts for one request at all processes of a server (RFC 8224 section 12.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.passport.verification import PassportUse, Replays, call_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.sip.message import Request


class UsedPassports:
    """Those of each partner and trunk, by its name. *siblings* get each token that is accepted here."""

    def __init__(self, siblings: OtherProcesses, log: LimitedLog) -> None:
        self._siblings, self._log = siblings, log
        self._of_peers: dict[str, Replays] = {}

    def is_replayed(self, peer: str, mark: bytes, request: Request | None, now: int) -> bool:
        """Tell whether the token with this *mark* was accepted for another request, or before if it is for None; remember it."""
        use = PassportUse(peer, mark.hex(), call_of(request) if request is not None else "", now)
        if self._of(peer).is_replayed(use.mark, use.call, now):
            return True
        self._siblings.passports_used((use,))
        return False

    def is_used(self, peer: str, mark: bytes) -> bool:
        """Tell whether the token with this *mark* was accepted; it is not remembered for that."""
        replays = self._of_peers.get(peer)
        return replays is not None and replays.knows(mark.hex())

    def used_elsewhere(self, uses: Iterable[PassportUse]) -> None:
        """Remember tokens that another process has accepted. Nothing ends a call whose token came to both in the same instant."""
        for use in uses:
            if self._of(use.peer).used_elsewhere(use):
                self._log.warning(use.peer, "two calls with one token came in the same instant", peer=use.peer)

    def entries(self) -> Iterator[PassportUse]:
        """Give all that is remembered, for a process of this server that has just started."""
        for peer, replays in self._of_peers.items():
            yield from replays.uses(peer)

    def _of(self, peer: str) -> Replays:
        return self._of_peers.setdefault(peer, Replays())
