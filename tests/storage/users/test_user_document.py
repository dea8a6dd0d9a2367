"""The users' document of a pool: read as it was written, in parts if it is large, or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.verifier import DevicePassword, Verifier
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.user_document import MOST_PARTS, UserDocument
from sipmesh.topology.document.watching import Watching

SHA, MD5 = "ab" * 32, "cd" * 16
BOTH = {Algorithm.SHA_256: SHA, Algorithm.MD5: MD5}
ALICE = Verifier("sip:alice@example.test", 7, BOTH, 1_764_230_400_000_001)
WHOLE = UserDocument(
    "Example",
    "pool1.example.test",
    9,
    3,
    verifiers={ALICE.aor: ALICE, "sip:bob@example.test": Verifier("sip:bob@example.test", 1, {Algorithm.SHA_256: SHA})},
    homes={"sip:dora@example.test": "pool2.example.test", "sip:carol@example.test": "pool3.example.test"},
    gone=frozenset({"sip:eve@example.test"}),
    aliases={ALICE.aor: ("sip:info@example.test", "tel:+4930123"), "sip:carol@example.test": ("tel:+4930124",)},
    watchers={ALICE.aor: {"*": Watching.POLITE_BLOCK, "sip:erin@partner.test": Watching.ALLOW}},
    algorithms={"sip:carol@example.test": (Algorithm.MD5,)},
    names_key="0a" * 32,
)


def told(**changes: Any) -> bytes:
    """Return the document with some of its members changed; None removes a member."""
    document = {**json.loads(WHOLE.encode()), **changes}
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()


def test_document_is_read_as_it_was_written() -> None:
    assert UserDocument.decode(WHOLE.encode()) == WHOLE
    assert UserDocument.decode(told(aliases=None)).aliases == {}  # of a release without aliases
    assert UserDocument.decode(told(watchers=None)).watchers == {}
    assert UserDocument.decode(told(algorithms=None)).algorithms == {}  # of a release without a key for unknown names
    assert UserDocument.decode(told(names_key=None)).names_key == ""
    assert "0a0a" not in repr(WHOLE)
    rows = json.loads(WHOLE.encode())["users"]
    earlier = UserDocument.decode(told(users=[{k: v for k, v in row.items() if k != "created"} for row in rows]))
    assert {user.created for user in earlier.verifiers.values()} == {0}
    assert UserDocument.decode(told(watchers={"a@b": {"*": "ask"}})).watchers == {"sip:a@b": {"*": Watching.BLOCK}}
    assert UserDocument.decode(UserDocument("Example", "pool1", 1).encode()) == UserDocument("Example", "pool1", 1)


@given(st.integers(1, 12), st.integers(0, 8), st.integers(0, 8), st.integers(0, 8))
def test_parts_together_have_all_users(most: int, ours: int, elsewhere: int, gone: int) -> None:
    names = [f"sip:u{number}@example.test" for number in range(ours + elsewhere + gone)]
    whole = UserDocument(
        "Example",
        "pool1",
        9,
        verifiers={aor: Verifier(aor, 1, {Algorithm.MD5: MD5}) for aor in names[:ours]},
        homes=dict.fromkeys(names[ours : ours + elsewhere], "pool2"),
        gone=frozenset(names[ours + elsewhere :]),
        algorithms=dict.fromkeys(names[ours : ours + elsewhere : 2], (Algorithm.MD5,)),
        names_key="0a" * 32,
    )
    parts = whole.divided(most)
    assert {aor: one for part in parts for aor, one in part.algorithms.items()} == whole.algorithms
    assert all(part.algorithms.keys() <= part.homes.keys() and part.names_key == whole.names_key for part in parts)
    assert [(part.part, part.parts) for part in parts] == [(n, len(parts)) for n in range(1, len(parts) + 1)]
    assert all(len(part.verifiers) + len(part.homes) + len(part.gone) <= most for part in parts)
    assert {aor: one for part in parts for aor, one in part.verifiers.items()} == whole.verifiers
    assert {aor: pool for part in parts for aor, pool in part.homes.items()} == whole.homes
    assert frozenset[str]().union(*(part.gone for part in parts)) == whole.gone


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"names_key": "0a"},
        {"names_key": 7},
        {"algorithms": {"a@b": 7}},
        {"organisation": ""},
        {"organisation": None},
        {"pool": 7},
        {"number": 0},
        {"number": True},
        {"number": 3},
        {"since": -1},
        {"part": 2},
        {"parts": MOST_PARTS + 1},
        {"users": [{"aor": "x", "generation": 0, "sha256": SHA}, 7]},
        {"users": [{"aor": "x", "generation": 1, "sha256": SHA[:-1]}]},
        {"users": [{"aor": "x", "generation": 1, "sha256": SHA.upper()}]},
        {"users": [{"aor": "x", "generation": 1}]},
        {"homes": ["pool1"]},
        {"homes": {"": ["x"]}},
        {"gone": [""]},
        {"aliases": []},
        {"aliases": {"": ["tel:+1"]}},
        {"aliases": {"alice@example.test": [""]}},
    ],
    ids=str,
)
def test_document_with_a_wrong_member_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(OperatorError, match="the user document cannot be read"):
        UserDocument.decode(told(**changes))


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 100_000])
def test_other_content_is_refused(content: bytes) -> None:
    with pytest.raises(OperatorError, match="the user document cannot be read"):
        UserDocument.decode(content)


def test_hashes_are_not_shown() -> None:
    assert SHA not in repr(WHOLE)


@given(st.integers(1, 9), st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_parts_have_each_alias_once_with_its_user(most: int, counts: list[int]) -> None:
    """A user with more aliases than a part may have is a part alone."""
    homes = {f"sip:u{number}@example.test": "pool2" for number in range(len(counts))}
    aliases = {aor: tuple(f"tel:+{n}" for n in range(count)) for aor, count in zip(homes, counts, strict=True) if count}
    parts = UserDocument("Example", "pool1", 9, homes=homes, aliases=aliases).divided(most)
    assert {aor: keys for part in parts for aor, keys in part.aliases.items()} == aliases
    for part in parts:
        assert part.aliases.keys() <= part.homes.keys()
        assert len(part.homes) == 1 or len(part.homes) + sum(map(len, part.aliases.values())) <= most


def test_devices_travel_with_their_user_and_an_earlier_release_passes_over_them() -> None:
    devices = {"desk": DevicePassword(8, BOTH), "mobile": DevicePassword(9, {Algorithm.SHA_256: SHA})}
    whole = UserDocument("E", "p", 9, verifiers={ALICE.aor: replace(ALICE, devices=devices)})
    assert UserDocument.decode(whole.encode()) == whole
    assert SHA not in repr(whole)
    bare = UserDocument("E", "p", 9, verifiers={ALICE.aor: ALICE})
    assert b"devices" not in bare.encode()


@pytest.mark.parametrize(
    "device", [{}, {"generation": 1}, {"generation": -1, "md5": MD5}, {"generation": 1, "md5": "x"}]
)
def test_device_without_a_password_is_refused(device: dict[str, Any]) -> None:
    row = {"aor": "alice@example.test", "generation": 1, "md5": MD5, "devices": {"desk": device}}
    with pytest.raises(OperatorError):
        UserDocument.decode(told(users=[row]))


def test_document_says_who_is_disabled_and_one_of_an_earlier_release_does_not() -> None:
    """An access token needs no password, so a random hash does not keep a disabled user out."""
    off = replace(ALICE, is_disabled=True)
    read = UserDocument.decode(UserDocument("E", "p", 9, verifiers={off.aor: off}).encode())
    assert read.verifiers == {off.aor: off}
    plain = UserDocument("E", "p", 9, verifiers={ALICE.aor: ALICE}).encode()
    assert b"disabled" not in plain
    assert not UserDocument.decode(plain).verifiers[ALICE.aor].is_disabled
