"""What the registry must know of a link: its number, its kind, its direction and its names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mypy_extensions import mypyc_attr

from sipmesh.transport.watched import Watched

if TYPE_CHECKING:
    from sipmesh.trust.evidence import Direction, LinkKind


@mypyc_attr(allow_interpreted_subclasses=True)
class RegisteredLink(Watched):
    """The base of `transport.link.Link`: registry and reactor import this class, and so need not import `Link`."""

    __slots__ = ("direction", "kind", "names", "number")

    def __init__(self, number: int, kind: LinkKind, direction: Direction) -> None:
        self.number, self.kind, self.direction = number, kind, direction
        self.names: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The short name of this link, unique in its process: the first letter of its kind, and its number."""
        return f"{self.kind[0]}{self.number}"

    def close(self, why: str) -> None:
        """Close the link; *why* is the reason for the log."""
        raise NotImplementedError
