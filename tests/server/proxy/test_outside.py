"""An `Outside` into which nothing was put does nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sipmesh.server.proxy.control_plane import ControlPlane
from sipmesh.server.proxy.outside import Outside

NOTHING: Any = None  # what no test looks at


def test_server_alone_is_settled_and_has_no_sources() -> None:
    outside = Outside()
    follower, sources = outside.follower, outside.sources
    follower.version_changed()
    follower.crls_changed(())
    follower.revoked(())
    follower.users_changed(NOTHING)
    assert follower.is_settled
    sources.follow(NOTHING)
    assert sources.supplies(datetime.now(UTC)) == ()
    sources.fetch_crls(b"")
    outside.orders.take(NOTHING, 0, 0, b"")
    outside.orders.ended(1)


def test_server_without_management_serves_no_request_of_the_control_plane() -> None:
    plane = ControlPlane()
    for act in (plane.begin, plane.tick, plane.close, plane.certificate_changed):
        act()
    plane.link_up(NOTHING)
    plane.link_down(NOTHING, "it has closed")
    plane.responded(NOTHING, NOTHING)
    plane.crls_changed(frozenset())
    assert plane.requested(NOTHING, NOTHING, NOTHING) is False
    assert (plane.is_managed, plane.newest) == (False, 0)
