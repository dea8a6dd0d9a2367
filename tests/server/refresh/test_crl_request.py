"""What a worker asks of the process that fetches CRLs: the topology in force there decides."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from server.refresh.sharded import sharded
from sipmesh.server.refresh.crl_request import CrlRequest
from sipmesh.topology.document.named_files.crl_points import StoredPoint
from sipmesh.trust.revocation.crl_point import CrlPoint
from sipmesh.typed_json import UnreadableJsonError
from support.network import PARTNER, Network
from support.running import on_loop, until

UNTIL = datetime(2100, 1, 1, tzinfo=UTC)


def request(url: str) -> CrlRequest:
    return CrlRequest(PARTNER, (StoredPoint.of(CrlPoint(url, (url,), b"0", UNTIL)),), accepted=False)


def test_request_is_read_as_it_was_written() -> None:
    asked = request("http://crl.test/1.crl")
    assert CrlRequest.decode(asked.encode()) == asked
    with pytest.raises(UnreadableJsonError):
        CrlRequest.decode(b"partner.test")


@on_loop
async def test_request_of_another_process_reaches_no_host_that_the_topology_does_not_name(federation: Network) -> None:
    """The control is an allowed URL, of the same process."""
    async with sharded(federation) as scene:
        for url in (
            f"http://127.0.0.1:{scene.publisher.port}/1.crl",
            scene.ca.url(1, "evil.test"),
            "file:///etc/passwd",
        ):
            scene.fetching.fetch_crls(CrlRequest.decode(request(url).encode()))
        assert scene.points() == []
        scene.fetching.fetch_crls(CrlRequest.decode(request(scene.ca.url(1)).encode()))
        assert scene.points() == [scene.ca.url(1)]
        await until(lambda: scene.publisher.asked == ["GET /1.crl"])
