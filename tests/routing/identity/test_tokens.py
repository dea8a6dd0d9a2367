"""The texts of tokens: made, read, refused, and encrypted where they hide a user."""

from base64 import urlsafe_b64decode
from hashlib import blake2s

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import LocalError
from sipmesh.routing.identity.dialog_token import (
    MOST_HASHES,
    NO_ENTRY,
    Begun,
    DialogToken,
    FlowSide,
    FlowToken,
    PathToken,
    PeerSide,
    Side,
    owner_hash,
)
from sipmesh.routing.identity.tokens import LONGEST_TOKEN, MAC_BYTES, MOST_KNOWN, Tokens
from sipmesh.sip import base64url
from sipmesh.sip.uri import CACHED_LENGTH, SipUri

KEY = b"k" * 32
ALICE = FlowSide(7, 41, owner_hash("sip:alice@example.test"))
POOL = PeerSide(owner_hash("pool1.example.test"))
tokens = Tokens(KEY, incarnation=7)

numbers = st.integers(0, 2**64 - 1)
hashes = st.binary(min_size=8, max_size=8)
sides: st.SearchStrategy[Side] = st.builds(FlowSide, numbers, numbers, hashes) | st.builds(PeerSide, hashes)


def test_a_flow_token_names_incarnation_link_and_owner() -> None:
    assert tokens.read(tokens.flow(41, "sip:alice@example.test")) == FlowToken(ALICE)


begun = st.builds(Begun, hashes, hashes, hashes, hashes, hashes)
CALL_ID = "call-1"
CALL = tokens.begun(CALL_ID, "1", "sip:alice@example.test", "sip:bob@example.test", "192.0.2.1")


@given(sides, sides, begun)
def test_a_dialog_token_names_its_two_sides_and_what_it_began_with(a: Side, b: Side, call: Begun) -> None:
    text = tokens.dialog(a, b, call)
    assert tokens.read(text) == DialogToken(a, b, call)
    assert len(text) <= LONGEST_TOKEN


@given(sides, sides)
def test_a_token_is_a_legal_user_part(a: Side, b: Side) -> None:
    """Nothing in it is ever escaped, so that no proxy or phone may spell it otherwise."""
    text = tokens.dialog(a, b, CALL)
    assert SipUri.parse(f"sip:{text}@fe1.example.test;transport=tls;lr").user == text
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_token_of_a_record_route_names_a_carried_flow_and_is_another_one_in_each_dialog() -> None:
    path = tokens.path(41, "sip:alice@example.test", POOL)
    assert tokens.read(path) == PathToken(ALICE, POOL)
    texts = [tokens.recorded(path, *call) for call in (("call-1", "1"), ("call-2", "1"), ("call-1", "2"))]
    assert len({*texts, path}) == 4
    for text in texts:
        assert Tokens(KEY, incarnation=8).read(text) == PathToken(ALICE, POOL, is_recorded=True)
        assert ALICE.owner not in urlsafe_b64decode(text + "=" * (-len(text) % 4))
        assert len(text) <= LONGEST_TOKEN
        assert tokens.read(text[:-1] + ("A" if text[-1] != "A" else "Q")) is None


@pytest.mark.parametrize("text", ["", tokens.flow(41, "sip:alice@example.test"), tokens.dialog(ALICE, POOL, CALL)])
def test_only_the_token_of_a_path_is_recorded(text: str) -> None:
    with pytest.raises(LocalError):
        tokens.recorded(text, "call-1", "1")


@given(st.integers(0, 137), st.characters(codec="ascii"))
def test_token_with_one_changed_character_is_refused(route_set: int, other: str) -> None:
    text = tokens.dialog(ALICE, FlowSide(7, 42, owner_hash("sip:bob@example.test")), CALL)
    changed = text[:route_set] + other + text[route_set + 1 :]
    assert (tokens.read(changed) is None) is (changed != text)


@given(st.text() | st.text("ABCdef-_09=+/", max_size=100))
def test_malformed_token_is_refused(text: str) -> None:
    assert tokens.read(text) is None


def test_token_of_another_key_is_refused() -> None:
    assert Tokens(b"x" * 32, incarnation=7).read(tokens.flow(41, "sip:alice@example.test")) is None


def test_a_token_of_an_earlier_incarnation_is_read_so_that_its_flow_can_be_called_gone() -> None:
    """RFC 5626 5.3.1 wants 430 for it, which "garbage" would not get."""
    later = Tokens(KEY, incarnation=8)
    read = later.read(tokens.flow(41, "sip:alice@example.test"))
    assert isinstance(read, FlowToken)
    assert read.side.incarnation != later.incarnation


def test_flow_token_is_not_accepted_as_a_dialog_token() -> None:
    assert not isinstance(tokens.read(tokens.flow(41, "sip:alice@example.test")), DialogToken)


def test_number_out_of_range_is_a_local_error() -> None:
    with pytest.raises(LocalError):
        tokens.flow(1 << 64, "sip:alice@example.test")


@pytest.mark.parametrize("key", [b"short", b"x" * 33])
def test_key_of_the_wrong_size_is_a_local_error(key: bytes) -> None:
    with pytest.raises(LocalError):
        Tokens(key, incarnation=7)


def test_token_cache_is_bounded_and_all_tokens_are_read() -> None:
    """The first tokens leave the cache when the limit is reached. Their MAC is still valid."""
    made = Tokens(KEY, incarnation=7)
    texts = [made.flow(number, "sip:alice@example.test") for number in range(MOST_KNOWN + 1)]
    assert len(made._known) == MOST_KNOWN // 2 + 1
    assert made.read(texts[0]) == FlowToken(FlowSide(7, 0, owner_hash("sip:alice@example.test")))


def test_hashes_of_names_are_cached_up_to_a_limit_and_differ_by_key() -> None:
    made, other = Tokens(KEY, 1, bytes(32)), Tokens(KEY, 1, bytes([1]) * 32)
    for number in range(MOST_HASHES + 1):
        made.name_hash(f"sip:{number}@example.test")
    assert len(made._hashes) == MOST_HASHES // 2 + 1
    made.name_hash("x" * (CACHED_LENGTH + 1))
    assert len(made._hashes) == MOST_HASHES // 2 + 1
    assert made.name_hash("a") == made.name_hash("a") == Tokens(KEY, 2, bytes(32)).name_hash("a")
    assert made.name_hash("a") not in {other.name_hash("a"), made.name_hash("b")}


@pytest.mark.parametrize(("a", "b"), [(ALICE, POOL), (POOL, ALICE), (ALICE, ALICE), (POOL, POOL)])
def test_answered_token_is_the_same_as_one_written_as_a_whole(a: Side, b: Side) -> None:
    """Its first characters are taken from the token before, which has the same octets there."""
    made = Tokens(KEY, incarnation=7)
    onward = made.name_hash("entry")
    whole = made.dialog(a, b, CALL.answered_by(made.tag_hash("2")), onward)
    assert made.answered(made.dialog(a, b, CALL), "2", onward) == whole
    read = Tokens(KEY, incarnation=8).read(whole)
    assert isinstance(read, DialogToken)
    assert (read.begun.answered, read.onward) == (made.tag_hash("2"), onward)
    assert made.answered(made.dialog(a, b, CALL), "3", onward) != whole


def test_token_has_the_mac_of_all_its_octets() -> None:
    """Its kind is in the hash from the start: the result is the same as that of one call."""
    sealed = base64url.decode(Tokens(KEY, incarnation=7).dialog(ALICE, POOL, CALL).encode())
    mac = blake2s(sealed[:-MAC_BYTES], key=KEY, digest_size=MAC_BYTES).digest()
    assert sealed[-MAC_BYTES:] == mac


def test_unverified_tokens_are_not_cached() -> None:
    made = Tokens(KEY, incarnation=7)
    assert made.read(Tokens(b"x" * 32, incarnation=7).flow(41, "sip:alice@example.test")) is None
    assert len(made._known) == 0


BOB = FlowSide(7, 42, owner_hash("sip:bob@example.test"))


def test_token_of_the_initiator_has_the_tag_of_the_answer() -> None:
    text = tokens.dialog(ALICE, BOB, CALL)
    answered = tokens.read(tokens.answered(text, "2"))
    assert isinstance(answered, DialogToken)
    assert answered.begun.answered == tokens.tag_hash("2") != CALL.answered
    assert (answered.a, answered.b, answered.begun.dialog) == (ALICE, BOB, CALL.dialog)


def test_token_has_the_entry_next_to_ours_and_an_answered_token_has_the_entry_on_the_other_way() -> None:
    back, forth = (
        tokens.entry_hash(SipUri.parse(f"sip:x@{host};lr")) for host in ("fe2.example.test", "fe3.example.test")
    )
    text = tokens.dialog(ALICE, POOL, CALL, back)
    answered = tokens.answered(text, "2", forth)
    assert answered != tokens.answered(text, "2", back)
    for made, onward in ((text, back), (answered, forth)):
        read = Tokens(KEY, incarnation=7).read(made)
        assert isinstance(read, DialogToken)
        assert read.onward == onward


@pytest.mark.parametrize(
    ("entry", "same"),
    [
        ("sips:t@FE2.example.test:7;transport=tls", True),
        ("sip:T@fe2.example.test;lr", False),
        ("sip:t@fe3.example.test;lr", False),
        ("sip:fe2.example.test;lr", False),
    ],
)
def test_entry_is_known_by_its_user_part_and_host(entry: str, *, same: bool) -> None:
    """Phones may write its parameters in another way."""
    known = tokens.entry_hash(SipUri.parse("sip:t@fe2.example.test;transport=tls;lr"))
    assert (tokens.entry_hash(SipUri.parse(entry)) == known) is same
    assert tokens.entry_hash(None) == NO_ENTRY != known


@pytest.mark.parametrize("text", ["nonsense", tokens.flow(41, "sip:alice@example.test")])
def test_only_a_dialog_token_is_answered(text: str) -> None:
    with pytest.raises(LocalError, match="is not a dialog token"):
        tokens.answered(text, "2")


def test_tokens_are_read_by_another_server_of_the_pool_if_it_has_their_key() -> None:
    """A flow belongs to one server. A dialog continues through any server of the pool."""
    ours, mate = (Tokens(key * 32, incarnation=7, pool_key=b"p" * 32) for key in (b"a", b"b"))
    assert mate.read(ours.dialog(ALICE, POOL, CALL)) == DialogToken(ALICE, POOL, CALL)
    assert mate.read(ours.flow(41, "sip:alice@example.test")) is None
    assert Tokens(b"a" * 32, incarnation=8).read(ours.flow(41, "sip:alice@example.test")) == FlowToken(ALICE)


CONTACT = "sip:alice@192.0.2.7:5061;transport=tls"


@given(sides, sides, begun)
def test_secret_token_is_read_as_any_other_and_shows_no_reader_what_is_in_it(a: Side, b: Side, call: Begun) -> None:
    """The hash of a user is made without a key: in clear text, a callee could compare it with those of known addresses."""
    text = tokens.dialog(a, b, call, secret=True)
    assert Tokens(KEY, incarnation=8).read(text) == DialogToken(a, b, call)
    assert len(text) <= LONGEST_TOKEN
    sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    for side in (a, b):
        assert side.owner not in sealed


def test_answered_token_is_as_secret_as_the_first_one() -> None:
    for secret in (True, False):
        first = tokens.dialog(ALICE, POOL, CALL, secret=secret)
        answered = tokens.answered(first, "2")
        assert (answered[0] == first[0], answered != first) == (True, True)
        assert tokens.read(answered) == DialogToken(ALICE, POOL, CALL.answered_by(tokens.tag_hash("2")))


@given(st.integers(0, 130), st.characters(codec="ascii"))
def test_secret_token_with_one_changed_character_is_refused(at: int, other: str) -> None:
    text = tokens.dialog(ALICE, FlowSide(7, 42, owner_hash("sip:bob@example.test")), CALL, secret=True)
    changed = text[:at] + other + text[at + 1 :]
    assert (tokens.read(changed) is None) is (changed != text)


def test_hidden_contact_is_revealed_to_its_owner_at_any_server_of_the_pool_and_to_no_other_user() -> None:
    hidden = Tokens(b"1" * 32, 7, b"p" * 32).hide(CONTACT, ALICE.owner)
    mate = Tokens(b"2" * 32, 9, b"p" * 32)
    assert mate.reveal(hidden, ALICE.owner, CALL_ID) == CONTACT
    assert mate.reveal(hidden, owner_hash("sip:bob@example.test"), CALL_ID) is None
    assert Tokens(b"1" * 32, 7, b"q" * 32).reveal(hidden, ALICE.owner, CALL_ID) is None
    assert mate.read(hidden) is None
    assert mate.reveal(mate.dialog(ALICE, POOL, CALL, secret=True), ALICE.owner, CALL_ID) is None
    assert mate.reveal("", ALICE.owner, CALL_ID) is None
    assert CONTACT.encode() not in urlsafe_b64decode(hidden + "=" * (-len(hidden) % 4))


def test_contact_is_hidden_by_one_text_for_each_owner() -> None:
    bob = owner_hash("sip:bob@example.test")
    assert tokens.hide(CONTACT, ALICE.owner) is tokens.hide(CONTACT, ALICE.owner)
    assert tokens.hide(CONTACT, bob) != tokens.hide(CONTACT, ALICE.owner)
    assert tokens.reveal(tokens.hide(CONTACT, bob), bob, CALL_ID) == CONTACT


def test_contact_of_a_hidden_user_has_another_text_in_each_call_and_counts_in_this_call_only() -> None:
    texts = [tokens.hide_in(call_id, CONTACT, ALICE.owner) for call_id in (CALL_ID, "call-2")]
    assert len({*texts, tokens.hide(CONTACT, ALICE.owner)}) == 3
    assert texts[0] == tokens.hide_in(CALL_ID, CONTACT, ALICE.owner)
    assert [tokens.reveal(text, ALICE.owner, CALL_ID) for text in texts] == [CONTACT, None]
    assert tokens.reveal(texts[0], owner_hash("sip:bob@example.test"), CALL_ID) is None


@given(st.text(max_size=300))
def test_any_contact_is_revealed_as_it_was(uri: str) -> None:
    text = uri.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    assert tokens.reveal(tokens.hide(text, ALICE.owner), ALICE.owner, CALL_ID) == text
