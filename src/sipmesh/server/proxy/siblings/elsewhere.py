"""Who hears of the links and the counts of other processes of this server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipmesh.server.quotas.usage import Usage
    from sipmesh.transport.link.link import Link


class LinksElsewhere(Protocol):
    """Who hears of the links of other processes (`links.remote_events.RemoteEvents`)."""

    def remote_up(self, link: Link) -> None:
        """A link of another process is up."""

    def remote_login(self, link: Link, user: str, generation: int) -> None:
        """A user has logged in on such a link, with the password of *generation*."""

    def remote_down(self, link: Link, why: str) -> None:
        """Such a link has closed."""


class CountsElsewhere(Protocol):
    """Who hears what principals use at other processes (`quotas.principals.Principals`)."""

    def used_elsewhere(self, process: int, kind: str, name: str, branches: int, octets: int) -> None:
        """A principal has so many branches and octets at another process."""

    def used_here(self) -> Iterable[Usage]:
        """The accounts whose counts other processes were told."""

    def addressed_elsewhere(self, partner: str, finder: int, user: int) -> None:
        """A sender of a partner has addressed one user more at another process; both are hashes."""

    def process_ended(self, process: int) -> None:
        """Another process has ended, with all that was used there."""
