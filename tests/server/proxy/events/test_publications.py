"""What users have published: entity tags, ends and bounds."""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest

from routing.messages import ALICE, BOB, request
from sipmesh.errors import RemoteError
from sipmesh.routing.events.packages import PRESENCE
from sipmesh.routing.events.pidf import parse_pidf
from sipmesh.routing.events.subscribe import Granted
from sipmesh.routing.outcome import Answer
from sipmesh.server.proxy.events.publications import CHANGES_S, GONE_S, MOST_CHANGES, MOST_OF_USER, Publications


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def document(note: str) -> bytes:
    return (
        f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="x"><tuple id="t"><status><basic>open</basic></status>'
        f"<note>{note}</note></tuple></presence>"
    ).encode()


class Shelf:
    def __init__(self, most_octets: int = 10_000) -> None:
        self.clock, count = Clock(), itertools.count(1)
        self.publications = Publications(self.clock, lambda: f"tag{next(count)}", most_octets)

    def put(self, body: bytes, tag: str = "", expires_s: int = 60, aor: str = BOB) -> Answer:
        asked = request("PUBLISH", aor, *((("sip-if-match", tag),) if tag else ()))
        asked.body = body
        return self.publications.publish(asked, aor, Granted(PRESENCE, expires_s))

    def notes(self, aor: str = BOB) -> list[str]:
        parts = [part for one in self.publications.documents(aor) for part in one.parts]
        return [part.partition("<note>")[2].partition("<")[0] for part in parts]


def tag_of(answer: Answer) -> str:
    assert answer.status == 200, answer
    return dict(answer.headers)["SIP-ETag"]


def test_devices_have_their_own_publications_newest_first() -> None:
    shelf = Shelf()
    shelf.put(document("a"))
    tag = tag_of(shelf.put(document("b")))
    assert shelf.notes() == ["b", "a"]
    shelf.put(document("c"), tag)
    assert shelf.notes() == ["c", "a"]
    assert shelf.notes(ALICE) == []


def test_refresh_changes_no_order() -> None:
    """RFC 3903 section 4.3: a refresh changes no state, so watchers get no NOTIFY."""
    shelf = Shelf()
    tag = tag_of(shelf.put(document("a")))
    shelf.put(document("b"))
    again = tag_of(shelf.put(b"", tag))
    assert (again != tag, shelf.notes()) == (True, ["b", "a"])


def test_tag_of_another_user_is_unknown() -> None:
    shelf = Shelf()
    tag = tag_of(shelf.put(document("a")))
    assert shelf.put(document("b"), tag, aor=ALICE).status == 412
    assert shelf.put(b"", tag).status == 200


def test_publication_ends_unless_it_is_refreshed() -> None:
    shelf = Shelf()
    tag = tag_of(shelf.put(document("a")))
    shelf.clock.now += 59
    tag = tag_of(shelf.put(b"", tag))
    shelf.clock.now += 59
    assert (shelf.notes(), shelf.publications.expire()) == (["a"], set())
    shelf.clock.now += 1
    assert shelf.notes() == []
    assert shelf.put(b"", tag).status == 412
    shelf.clock.now += 1
    assert shelf.publications.expire() == {BOB}
    assert (shelf.publications.octets, len(shelf.publications)) == (0, 0)


def test_publication_is_removed_with_expires_0() -> None:
    shelf = Shelf()
    tag = tag_of(shelf.put(document("a")))
    assert shelf.put(b"", tag, expires_s=0).status == 200
    assert shelf.notes() == []
    assert shelf.put(document("a"), expires_s=0).status == 200
    assert shelf.notes() == []


def test_first_publication_needs_a_document_and_a_valid_one() -> None:
    shelf = Shelf()
    assert shelf.put(b"").status == 400
    with pytest.raises(RemoteError):
        shelf.put(b"<presence")
    assert len(shelf.publications) == 0


def test_malformed_change_leaves_what_was_published() -> None:
    shelf = Shelf()
    tag = tag_of(shelf.put(document("a")))
    with pytest.raises(RemoteError):
        shelf.put(b"<presence", tag)
    assert shelf.notes() == ["a"]


def test_phone_that_starts_again_and_again_displaces_its_own() -> None:
    shelf = Shelf()
    shelf.put(document("x"), aor=ALICE)
    for number in range(MOST_OF_USER + 1):
        shelf.put(document(str(number)), expires_s=60 + number)
    assert shelf.notes() == [str(number) for number in range(MOST_OF_USER, 0, -1)]
    assert shelf.notes(ALICE) == ["x"]


def test_all_publications_have_room_for_so_many_octets() -> None:
    size = parse_pidf(document("a"), "ptag1-").size
    shelf = Shelf(2 * size)
    tag = tag_of(shelf.put(document("a")))
    shelf.put(document("b"))
    assert shelf.put(document("c"), aor=ALICE).status == 503
    assert shelf.put(b"", tag).status == 200
    shelf.publications.forget(BOB)
    assert shelf.put(document("c"), aor=ALICE).status == 200


def test_user_changes_its_state_only_so_often() -> None:
    """Each change is a NOTIFY to each watcher. A refresh changes nothing, and other users publish as before."""
    shelf = Shelf()
    tag = tag_of(shelf.put(document("0")))
    for number in range(1, MOST_CHANGES):
        tag = tag_of(shelf.put(document(str(number)), tag))
    refused = shelf.put(document("one more"), tag)
    assert (refused.status, dict(refused.headers)["Retry-After"]) == (503, f"{CHANGES_S:.0f}")
    assert shelf.put(b"", tag, expires_s=0).status == 503
    tag = tag_of(shelf.put(b"", tag))
    assert shelf.notes() == [str(MOST_CHANGES - 1)]
    assert shelf.put(document("a"), aor=ALICE).status == 200
    shelf.clock.now += CHANGES_S
    assert shelf.put(document("later"), tag).status == 200
    assert shelf.notes() == ["later"]


@pytest.mark.parametrize("body", [document("a"), b"<broken"])
def test_each_document_that_is_parsed_counts_also_a_document_that_ends_at_once(body: bytes) -> None:
    shelf = Shelf()
    for _ in range(MOST_CHANGES):
        with suppress(RemoteError):
            shelf.put(body, expires_s=0)
    assert shelf.put(body, expires_s=0).status == 503
    shelf.clock.now += CHANGES_S
    assert shelf.put(document("a"), expires_s=0).status == 200


def test_changes_are_forgotten_after_their_time() -> None:
    shelf = Shelf()
    shelf.put(document("a"))
    shelf.publications.expire()
    assert list(shelf.publications._changes) == [BOB]
    shelf.clock.now += CHANGES_S
    shelf.publications.expire()
    assert shelf.publications._changes == {}


def test_publications_end_some_time_after_the_last_phone_has_gone() -> None:
    """A phone that comes back before keeps its own. A user who never had a phone here publishes by other means."""
    shelf = Shelf()
    for aor in (ALICE, BOB):
        shelf.put(document("in a meeting"), expires_s=3600, aor=aor)
    shelf.publications.seen(BOB, is_there=True)
    for gone_s, is_back in ((GONE_S - 1, True), (GONE_S, False)):
        shelf.clock.now += gone_s
        for aor in (ALICE, BOB):
            shelf.publications.seen(aor, is_there=False)
        assert bool(shelf.notes(BOB)) is is_back
        shelf.publications.seen(BOB, is_there=True)
    assert shelf.notes(ALICE) == ["in a meeting"]
    shelf.put(document("out"), expires_s=3600)
    shelf.publications.seen(BOB, is_there=False)
    assert shelf.notes(BOB) == ["out"]
