"""A topology with everything that one server computes from it, so that putting it in force takes little time.

Computing takes a tenth of a second for 2,000 servers, and needs nothing of the running server: a thread can do it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.server.proxy.roles import border_of, decide_for, names_of
from sipmesh.server.quotas.known_addresses import PublishedAddresses, addresses_in
from sipmesh.topology.view import view as view_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.routing.identity.border import Border
    from sipmesh.routing.identity.route_set import Names
    from sipmesh.routing.registrar.gruu import Gruus
    from sipmesh.server.proxy.roles import Decide
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView


@dataclass(frozen=True, slots=True)
class PreparedVersion:
    """The *view* of one server, and what is computed from it."""

    view: ServerView
    names: Names
    decide: Decide
    border: Border
    addresses: PublishedAddresses


def prepare(
    loaded: Loaded, name: str, incarnation: int, gruus: Gruus, home_of: Callable[[str], str]
) -> PreparedVersion:
    """Compute everything that does not depend on the running server *name*; raises `OperatorError` if it is not in *loaded*.

    *home_of* gives the home pool of a user, "" if it is not known for sure.
    """
    view = view_of(loaded, name)
    decide = decide_for(view, incarnation, gruus, home_of)
    return PreparedVersion(view, names_of(view), decide, border_of(view), addresses_in(view))
