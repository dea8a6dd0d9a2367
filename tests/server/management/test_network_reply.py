"""Every server, as the command `sipmesh status` reads it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sipmesh.server.control_socket import encode
from sipmesh.server.management.network import MemberStatus, NetworkStatus
from sipmesh.server.management.network_reply import network_reply
from sipmesh.server.management.peer_statuses import PeerStatus
from sipmesh.server.management.replies import NETWORK, ManagerReply
from sipmesh.server.management.server_faults import Fault, Known
from sipmesh.server.management.server_reports import StatusReport
from sipmesh.server.replication.link_fault import LinkFault
from sipmesh.server.replication.server_status import PeerKind, ServerStatus, ShownCertificate
from sipmesh.trust.role import Role
from sipmesh.typed_json import UnreadableJsonError, read

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MGMT, FE1, FE2, POOL = "mgmt.example.test", "fe1.example.test", "fe2.example.test", "pool1.example.test"
SHOWN = ShownCertificate(serial="badf00d", ends=NOON + timedelta(days=30), issuer="CN=Issuing", under="CN=Root")
STATUS = ServerStatus(number=3, at=NOON, certificate=SHOWN, links={"server": 2}, peers=(FE2,), request="secret")


def network() -> NetworkStatus:
    """Management, a front end that has reported, and a front end that has not."""
    report = StatusReport(STATUS, NOON - timedelta(seconds=4), FE2, behind_since=NOON - timedelta(seconds=9))
    heard = Known(FE1, POOL, report, linked=True, unreadable={}, silent_s=4.0)
    silent = Known(FE2, POOL, None, linked=False, unreadable={}, fault=LinkFault("refused", "revoked"))
    fault = Fault("no report from it yet: refused", "start it")
    members = [MemberStatus(heard, Role.FRONT_END, []), MemberStatus(silent, Role.FRONT_END, [fault])]
    managers = [ManagerReply(MGMT, 3, 4, 0.1), ManagerReply("mgmt2.example.test", 0, 4, 0.9)]
    peers = [PeerStatus("bot.example.test", PeerKind.APPLICATION, [fault])]
    return NetworkStatus(4, NOON, MGMT, STATUS, [fault], members, managers, peers)


def written(reply: object) -> Any:
    return json.loads(encode(reply))


def test_network_comes_back_as_it_was() -> None:
    document = written(network_reply(network()))
    reply = read(NETWORK.reply, document)
    assert reply == network_reply(network())
    assert written(reply) == document
    assert (reply.version, reply.at, reply.master.server, reply.master.role) == (4, NOON, MGMT, Role.MANAGEMENT)
    assert [(one.server, one.fencing) for one in reply.managers] == [(MGMT, 3), ("mgmt2.example.test", 0)]
    assert [(one.peer, one.kind) for one in reply.peers] == [("bot.example.test", PeerKind.APPLICATION)]
    assert reply.servers[0].certificate == SHOWN
    assert reply.servers[1].faults == (Fault("no report from it yet: refused", "start it"),)


def test_server_that_has_never_reported_has_no_facts() -> None:
    assert written(network_reply(network()))["servers"][1] == {
        "number": None,
        "server": FE2,
        "pool": POOL,
        "linked": False,
        "why_not": "refused",
        "reached": False,
        "role": "front-end",
        "faults": [{"what": "no report from it yet: refused", "remedy": "start it", "code": "", "hurts": []}],
    }


def test_server_that_has_reported_has_every_fact_and_the_age_of_its_report() -> None:
    """The request for a certificate is not for operators."""
    server = written(network_reply(network()))["servers"][0]
    facts = {"by": FE2, "heard_s": 4.0, "behind_s": 9.0, "clock_s": None, "number": 3, "reached": True, "error": ""}
    assert server.items() >= facts.items()
    assert server["certificate"]["ends"] == "2026-12-24T12:00:00+00:00"
    assert not {"request", "ago_s", "unreadable"} & server.keys()


def test_management_says_of_itself_what_it_reports() -> None:
    master = written(network_reply(network()))["master"]
    assert (master["server"], master["number"], master["links"]) == (MGMT, 3, {"server": 2})
    assert not {"role", "pool", "linked", "by"} & master.keys()


@pytest.mark.parametrize("missing", ["version", "at", "master", "servers"])
def test_network_of_another_release_is_refused(missing: str) -> None:
    document = written(network_reply(network()))
    del document[missing]
    with pytest.raises(UnreadableJsonError, match=missing):
        read(NETWORK.reply, document)
