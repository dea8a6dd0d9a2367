"""Replies of a server, on their way through JSON to the command that has asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sipmesh.server.admin.replies import (
    FILES_CHANGED,
    LINKS,
    LOGIN_FAILURES,
    LinkReply,
    ListenerReply,
    LoginFailureReply,
    StatusReply,
    TlsReply,
    chain_replies,
)
from sipmesh.server.control_socket import encode
from sipmesh.server.proxy.login.login_failures import LoginFailure
from sipmesh.server.refresh.reload_result import ReloadResult
from sipmesh.topology.expiry.fetch_status import FetchStatus
from sipmesh.topology.expiry.server_use import Use
from sipmesh.topology.expiry.validity import Chain, DatedItem
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.role import Role
from sipmesh.typed_json import UnreadableJsonError, read

FE1 = "fe1.example.test"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ITEM = DatedItem("CN=fe1", "CN=Issuing", "badf00d", "ab" * 32, NOON, NOON + timedelta(days=30))
USE = Use(
    server=FE1,
    pid=7,
    shown={False: Chain("servers/fe1.pem", (ITEM,)), True: Chain("servers/out.pem", fault="gone")},
    anchors=(ITEM,),
    lists=(ITEM,),
    supplies=(
        FetchStatus("http://crl.test", "", ITEM, NOON, "refused", alarming=True),
        FetchStatus("http://crl.test/2", "partner.test", None),
    ),
)


def status_of(use: Use) -> StatusReply:
    listeners = (ListenerReply(LinkKind.CLIENT, "127.0.0.1", 5061, 3),)
    served = (FE1, Role.FRONT_END, 7, 1.5, listeners, 3, "d1")
    return StatusReply(*served, chain_replies(use), use.anchors, use.lists, use.supplies)


def written(reply: object) -> Any:
    return json.loads(encode(reply))


def test_use_of_a_server_comes_back_from_its_status() -> None:
    reply = read(StatusReply, written(status_of(USE)))
    assert reply == status_of(USE)
    assert reply.use == USE


def test_keys_of_what_expires_are_stable() -> None:
    document = written(status_of(USE))
    assert document["certificates"][0] == {
        "outside": False,
        "file": "servers/fe1.pem",
        "chain": [document["anchors"][0]],
        "fault": "",
        "partner": "",
        "renewal": None,
    }
    assert document["anchors"][0] == {
        "subject": "CN=fe1",
        "issuer": "CN=Issuing",
        "number": "badf00d",
        "mark": "ab" * 32,
        "begins": "2026-11-24T12:00:00+00:00",
        "ends": "2026-12-24T12:00:00+00:00",
    }
    assert document["sources"][1] == {
        "source": "http://crl.test/2",
        "owner": "partner.test",
        "held": None,
        "failing_since": None,
        "why": "",
        "alarming": False,
    }


@pytest.mark.parametrize("missing", ["server", "pid", "certificates", "anchors", "lists", "sources"])
def test_status_of_another_release_is_refused(missing: str) -> None:
    document = written(status_of(USE))
    del document[missing]
    with pytest.raises(UnreadableJsonError, match=missing):
        read(StatusReply, document)


@pytest.mark.parametrize(
    "changed", [{"begins": "2026-11-24T12:00:00"}, {"ends": "never"}, {"ends": 7}, {"subject": None}], ids=str
)
def test_item_with_a_wrong_instant_or_without_a_subject_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(UnreadableJsonError):
        read(DatedItem, {**written(ITEM), **changed})
    assert read(DatedItem, written(ITEM)) == ITEM


def test_failed_login_has_its_class_and_its_instants() -> None:
    failure = LoginFailure(
        "sip:bob@example.test", "wrong password", "192.0.2.1", "phone/1", 1_764_072_000, 1_764_072_002
    )
    reply = LoginFailureReply.of(failure)
    document = written([reply])
    assert document == [
        {
            "user": "bob@example.test",
            "flaw": "wrong password",
            "class": "wrong-password",
            "remote": "192.0.2.1",
            "user_agent": "phone/1",
            "first_at": "2025-11-25T12:00:00+00:00",
            "last_at": "2025-11-25T12:00:02+00:00",
            "count": 1,
            "closed": False,
        }
    ]
    assert read(LOGIN_FAILURES.reply, document) == [reply]


@pytest.mark.parametrize(
    ("result", "document"),
    [
        (ReloadResult(taken=True, closed=[]), {"taken": True, "closed": []}),
        (
            ReloadResult(taken=False, closed=["s1"], why="it has a problem", problems=["x"]),
            {"taken": False, "closed": ["s1"], "why": "it has a problem", "problems": ["x"]},
        ),
        (ReloadResult(taken=True, closed=[], kept=["y"]), {"taken": True, "closed": [], "kept": ["y"]}),
    ],
)
def test_result_of_a_reload_has_only_the_keys_that_say_something(
    result: ReloadResult, document: dict[str, object]
) -> None:
    assert written(result) == document
    assert written(read(FILES_CHANGED.reply, document)) == document


def test_link_of_an_unknown_kind_is_refused() -> None:
    tls = TlsReply("TLSv1.3", "TLS_AES_128_GCM_SHA256", "X25519")
    told = (FE1, "s1", LinkKind.SERVER, Direction.OPENED, "up", True, "fe2", "127.0.0.1:5062", Code.ACCEPTED, tls)
    link = LinkReply(*told, 1.5, 1, 2, 3, 4)
    assert read(LINKS.reply, written([link])) == [link]
    with pytest.raises(UnreadableJsonError, match=r"0\.kind"):
        read(LINKS.reply, [{**written(link), "kind": "satellite"}])
