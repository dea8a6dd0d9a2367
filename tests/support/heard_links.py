"""A control plane that records the links of which it hears."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from sipmesh.server.proxy.control_plane import ControlPlane
    from sipmesh.transport.link.link import Link


class HeardLinks:
    """The names of the peers whose links came up, and whose links ended."""

    def __init__(self) -> None:
        self.up: list[str] = []
        self.down: list[str] = []

    def link_up(self, link: Link) -> None:
        """Record a link that is up."""
        self.up.append(link.peer_name)

    def link_down(self, link: Link, why: str) -> None:
        """Record a link that has ended."""
        assert why
        self.down.append(link.peer_name)

    @property
    def plane(self) -> ControlPlane:
        """This, as the part of a control plane that links need."""
        return cast("ControlPlane", self)
