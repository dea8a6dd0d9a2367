"""The report of a server: a valid report is accepted, any other is refused completely with one error."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import RemoteError
from sipmesh.printable import is_printable
from sipmesh.server.replication.server_status import (
    LONGEST_RELAYED,
    LONGEST_TEXT,
    MOST_NAMES,
    MOST_REFUSALS,
    ServerStatus,
    ShownCertificate,
    relayed_reports,
    text,
)

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
CERTIFICATE = ShownCertificate(serial="0badf00d", ends=NOON, issuer="CN=Issuing", under="CN=Root")
WHOLE = ServerStatus(
    number=7,
    digest="ab" * 32,
    highest=8,
    at=NOON,
    error="users from mgmt: no",
    started_at=NOON - timedelta(days=1),
    certificate=CERTIFICATE,
    certificate_fault="key: not there",
    refuses_from=NOON + timedelta(days=6),
    refuses_because="a list ends",
    links={"server": 3, "client": 0},
    peers=("fe2.example.test",),
    refused=("expired: opened server link",),
    anchors=("cd" * 32,),
    bindings="ef" * 16,
    request="eyJ",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def test_report_survives_json() -> None:
    assert ServerStatus.read(json.loads(json.dumps(WHOLE.to_json()))) == WHOLE
    assert ServerStatus.read(ServerStatus(number=1).to_json()) == ServerStatus(number=1)


def test_keys_of_a_newer_release_are_ignored() -> None:
    assert ServerStatus.read({"number": 1, "weather": "fine"}) == ServerStatus(number=1)


@pytest.mark.parametrize(
    ("key", "at_limit", "past_it"),
    [
        ("number", 2**53, 2**53 + 1),
        ("error", "x" * LONGEST_TEXT, "x" * (LONGEST_TEXT + 1)),
        ("peers", ["p"] * MOST_NAMES, ["p"] * (MOST_NAMES + 1)),
        ("peers", ["p" * 253], ["p" * 254]),
        ("anchors", ["ab"] * MOST_NAMES, ["ab"] * (MOST_NAMES + 1)),
        ("anchors", ["a" * 64], ["a" * 65]),
        ("refused", ["x"] * MOST_REFUSALS, ["x"] * (MOST_REFUSALS + 1)),
        ("links", {f"k{n}": n for n in range(16)}, {f"k{n}": n for n in range(17)}),
        ("ago_s", 1e9, 1.1e9),
        ("request", "x" * 65_536, "x" * 65_537),
    ],
)
def test_each_size_has_a_limit(key: str, at_limit: Any, past_it: Any) -> None:
    ServerStatus.read({"number": 1, key: at_limit})
    with pytest.raises(RemoteError, match=f"^{key}"):
        ServerStatus.read({"number": 1, key: past_it})


@given(st.sampled_from(sorted(ServerStatus.model_fields)), JSON)
def test_any_value_of_a_key_is_accepted_or_refused(key: str, value: Any) -> None:
    """An accepted value can be written again, and shown."""
    status = read_or_refused({"number": 1, key: value})
    if isinstance(status, ServerStatus):
        assert ServerStatus.read(json.loads(json.dumps(status.to_json()))) == status
    told = status.error if isinstance(status, ServerStatus) else status
    assert all(map(is_printable, told))


@given(JSON)
def test_anything_that_is_no_report_is_refused(value: Any) -> None:
    with pytest.raises(RemoteError):
        ServerStatus.read(value if not isinstance(value, dict) else {**value, "number": "one"})


def read_or_refused(told: Any) -> ServerStatus | str:
    try:
        return ServerStatus.read(told)
    except RemoteError as wrong:
        return str(wrong)


def test_instants_are_utc_and_need_a_zone() -> None:
    east = datetime(2026, 11, 25, 14, tzinfo=timezone(timedelta(hours=2)))
    assert ServerStatus.read({"number": 1, "at": east.isoformat()}).at == NOON
    for wrong in ("yesterday", "2026-11-25T12:00:00", "0001-01-01T00:00:00+14:00", "", 7, None):
        if wrong is not None:
            with pytest.raises(RemoteError, match="not a time"):
                ServerStatus.read({"number": 1, "refuses_from": wrong})


def test_own_text_always_fits() -> None:
    for given_text in ("", "x" * 5000, "\u202e" * 5000, "\U000e0001" * 5000):
        assert ServerStatus.read({"number": 1, "error": text(given_text)}).error == text(given_text)


def test_relayed_reports_have_their_age_and_the_shortest_come_first() -> None:
    """The long report of one edge leaves room for all others, and comes last or not at all."""
    greedy = ServerStatus(number=1, peers=("x" * 99,) * (LONGEST_RELAYED // 90))
    assert len(greedy.peers) <= MOST_NAMES
    plain = {f"edge{n}.example.test": (1.0, ServerStatus(number=n)) for n in range(1, 100)}
    found = relayed_reports({"greedy.example.test": (2.0, greedy), **plain}, now=3.5)
    assert found.keys() == plain.keys()
    assert found["edge7.example.test"] == {"number": 7, "ago_s": 2.5}
    alone = relayed_reports({"greedy.example.test": (2.0, WHOLE)}, now=3.5)
    assert ServerStatus.read(alone["greedy.example.test"]).peers == WHOLE.peers
