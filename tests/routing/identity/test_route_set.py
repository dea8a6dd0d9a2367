from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.messages import (
    ALICE,
    ALICE_SIDE,
    BOB,
    BOB_SIDE,
    CONTACT,
    FE1,
    FRONT_END,
    KEY,
    POOL_SIDE,
    TOKENS,
    begun,
    request,
    route,
    token,
)
from sipmesh.errors import RemoteError
from sipmesh.routing.identity.dialog_token import NOBODY_YET, DialogToken, FlowToken
from sipmesh.routing.identity.route_set import (
    MOST_ENTRIES_OF_OURS,
    NOWHERE,
    Names,
    Past,
    RouteSet,
    has_dialog_token,
    service_route,
    take_place,
)
from sipmesh.routing.identity.tokens import Tokens
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request
from sipmesh.sip.uri import SipUri

NAMES = FRONT_END.names
DIALOG = DialogToken(ALICE_SIDE, BOB_SIDE, begun())
DIALOG_TEXT = token(ALICE_SIDE, BOB_SIDE)
FLOW_TEXT = TOKENS.flow(41, ALICE)
FE2 = "fe2.example.test"
AWAY = "<sip:proxy.other.test;lr>"


def inside(method: str = "BYE", uri: str = BOB, *, routes: Iterable[str]) -> Request:
    """A request of alice's inside the dialog of the tokens."""
    return request(method, uri, to_tag="2", routes=routes)


def take(asked: Request) -> RouteSet:
    return take_place(asked, NAMES, TOKENS)


def came(beyond: SipUri | None = None) -> tuple[DialogToken | None, SipUri | None, bool, bool, bool]:
    """What a place says of a request that alice sends inside her dialog."""
    return DIALOG, beyond, True, True, True


def said(route_set: RouteSet) -> tuple[DialogToken | None, SipUri | None, bool, bool, bool]:
    return route_set.dialog, route_set.beyond, route_set.from_a, route_set.sent_as, route_set.sent_to


@pytest.mark.parametrize(
    ("uri", "ours"),
    [
        ("sip:fe1.example.test", True),
        ("sips:alice@FE1.example.test:7", True),
        ("sip:127.0.0.1:5062", True),
        ("sip:127.0.0.1", False),
        ("sip:127.0.0.1:5063", False),
        ("sip:192.0.2.7", True),
        ("sip:192.0.2.7:5061", True),
        ("sip:192.0.2.7:5062", False),
        ("sip:fe1.example.test.evil.test", False),
    ],
)
def test_hosts_are_ours_by_any_port_and_addresses_by_their_own(uri: str, *, ours: bool) -> None:
    assert NAMES.ours(SipUri.parse(uri), ("192.0.2.7", 5061)) is ours


def test_no_address_is_ours_where_none_is_known() -> None:
    assert not Names(frozenset(), frozenset()).ours(SipUri.parse("sip:192.0.2.7"))


def test_request_without_route_has_an_empty_route_set() -> None:
    assert take(request()) is NOWHERE


def test_our_entry_is_removed_and_its_dialog_returned() -> None:
    asked = inside(routes=[route(DIALOG_TEXT)])
    assert said(take(asked)) == came()
    assert not asked.count("route")


def test_flow_token_is_returned_as_a_flow() -> None:
    assert take(request(routes=[route(FLOW_TEXT)])) == RouteSet(flow=FlowToken(TOKENS.flow_side(41, ALICE)))


@pytest.mark.parametrize("rows", [[f"{route(DIALOG_TEXT)},{route(DIALOG_TEXT)}"], [route(DIALOG_TEXT)] * 2])
def test_both_entries_of_a_dialog_are_removed(rows: list[str]) -> None:
    asked = inside(routes=rows)
    assert said(take(asked)) == came()
    assert not asked.count("route")


@pytest.mark.parametrize(
    ("rows", "left"),
    [([route(DIALOG_TEXT), AWAY], [AWAY]), ([f"{route(DIALOG_TEXT)}, {AWAY},{AWAY}"], [AWAY, AWAY])],
)
def test_next_foreign_entry_stays_and_is_returned(rows: list[str], left: list[str]) -> None:
    asked = inside(routes=rows)
    assert said(take(asked)) == came(SipUri.parse("sip:proxy.other.test;lr"))
    assert asked.values("route") == left


@pytest.mark.parametrize(
    ("recorded", "routes", "diverted"),
    [
        (AWAY, [AWAY], False),
        (AWAY, ["<sip:proxy.other.test;transport=tls;lr>"], False),
        (AWAY, [], True),
        (AWAY, ["<sip:other.test;lr>", AWAY], True),
        (None, [], False),
        (None, [AWAY], True),
    ],
)
def test_next_entry_is_the_recorded_one(recorded: str | None, routes: list[str], *, diverted: bool) -> None:
    uri = NameAddr.parse(recorded).sip_uri if recorded else None
    text = TOKENS.dialog(ALICE_SIDE, POOL_SIDE, begun(), TOKENS.entry_hash(uri))
    assert take(inside(routes=[route(text), *routes])).is_diverted is diverted


def test_token_of_the_initiator_leads_the_other_side_nowhere() -> None:
    """Its next entry is the one behind the other side itself."""
    onward = TOKENS.entry_hash(NameAddr.parse(AWAY).sip_uri)
    unanswered = replace(begun(), answered=NOBODY_YET)
    for call, diverted in ((begun(), True), (unanswered, False)):
        asked = inside(routes=[route(TOKENS.dialog(POOL_SIDE, BOB_SIDE, call, onward)), AWAY])
        asked.replace("from", f"<{BOB}>;tag=2")
        asked.replace("to", f"<{ALICE}>;tag=1")
        taken = take(asked)
        assert (taken.from_b, taken.is_diverted) == (True, diverted)


def test_an_entry_of_ours_behind_a_foreign_one_is_not_read() -> None:
    assert take(inside(routes=[AWAY, route(DIALOG_TEXT)])).dialog is None


@pytest.mark.parametrize("user", ["", "alice@", "garbage@", DIALOG_TEXT[:-1] + "@"])
def test_entry_of_ours_without_a_token_has_no_dialog(user: str) -> None:
    asked = request(routes=[f"<sip:{user}fe1.example.test;lr>"])
    assert take(asked) == RouteSet()
    assert not asked.count("route")


def test_a_preloaded_route_to_us_keeps_the_token_behind_it() -> None:
    assert take(request(routes=["<sip:example.test;lr>", route(FLOW_TEXT)])).flow is not None


@pytest.mark.parametrize(
    ("tag", "to_tag", "call_id"),
    [("1", "", "call-1"), ("9", "2", "call-1"), ("1", "2", "call-2"), ("1", "1", "call-1")],
)
def test_a_token_of_another_dialog_is_stray(tag: str, to_tag: str, call_id: str) -> None:
    asked = request("INVITE", BOB, tag=tag, to_tag=to_tag, routes=[route(DIALOG_TEXT)])
    asked.replace("call-id", call_id)
    route_set = take(asked)
    assert (route_set.dialog, route_set.stray) == (None, True)
    assert said(take(inside("INVITE", routes=[route(DIALOG_TEXT)]))) == came()


def test_token_without_answered_tag_is_for_the_answering_side() -> None:
    """The answering side has it from the first request; the initiator has one with the tag of the answer."""
    first = TOKENS.begun("call-1", "1", ALICE, BOB, "192.0.2.1")
    text = TOKENS.dialog(ALICE_SIDE, BOB_SIDE, first)
    assert take(inside(routes=[route(text)])).stray
    back = request("BYE", BOB, sender=BOB, to=ALICE, tag="2", to_tag="1", routes=[route(text)])
    assert take(back).from_b
    answered = TOKENS.answered(text, "2")
    assert said(take(inside(routes=[route(answered)]))) == came()
    assert take(request("BYE", BOB, to_tag="3", routes=[route(answered)])).stray
    other = request("BYE", BOB, sender=BOB, to=ALICE, tag="3", to_tag="1", routes=[route(answered)])
    assert take(other).stray


@pytest.mark.parametrize(("sender", "to"), [(BOB, BOB), (ALICE, ALICE), ("tel:+1", BOB)])
def test_names_are_compared_with_the_start_of_the_dialog(sender: str, to: str) -> None:
    route_set = take(request("BYE", BOB, sender=sender, to=to, to_tag="2", routes=[route(DIALOG_TEXT)]))
    assert route_set.dialog == DIALOG
    assert (route_set.sent_as, route_set.sent_to) == (sender == ALICE, to == BOB)


def test_a_token_in_the_name_of_another_server_is_beyond_us() -> None:
    assert take(inside(routes=[route(DIALOG_TEXT, "fe2.example.test")])).dialog is None


def test_token_of_another_key_has_no_dialog() -> None:
    forged = Tokens(b"x" * len(KEY), TOKENS.incarnation).dialog(ALICE_SIDE, BOB_SIDE, begun())
    assert take(inside(routes=[route(forged)])) == RouteSet()


MATES = replace(NAMES, mates=frozenset({FE2}), pool=POOL_SIDE)
TO_POOL, FROM_POOL = token(ALICE_SIDE, POOL_SIDE), token(POOL_SIDE, BOB_SIDE)


def test_a_dialog_of_another_server_of_the_pool_is_taken_where_it_comes_first() -> None:
    """Both of its Record-Routes (RFC 5658): the sender could not reach it."""
    asked = inside(routes=[route(DIALOG_TEXT, FE2), route(DIALOG_TEXT, f"{FE2}:5062"), AWAY])
    assert said(take_place(asked, MATES, TOKENS)) == came(SipUri.parse(AWAY.strip("<>")))
    assert asked.items("route") == [AWAY]


@pytest.mark.parametrize("hosts", [(FE1, FE2), (FE2, FE1)], ids=["from outside", "from inside"])
def test_a_pair_of_another_edge_is_taken_under_the_name_of_the_pool_and_its_own(hosts: tuple[str, str]) -> None:
    """An edge is known by the name of its pool outside and by its own inside: one entry means us, and one does not."""
    asked = inside(routes=[*(route(DIALOG_TEXT, host) for host in hosts), AWAY])
    assert said(take_place(asked, MATES, TOKENS)) == came(SipUri.parse(AWAY.strip("<>")))
    assert asked.items("route") == [AWAY]


@pytest.mark.parametrize("second", [FLOW_TEXT, FROM_POOL, "garbage"])
def test_an_entry_of_another_server_that_does_not_repeat_ours_is_beyond_us(second: str) -> None:
    asked = inside(routes=[route(DIALOG_TEXT), route(second, FE2)])
    assert take_place(asked, MATES, TOKENS).dialog == DIALOG
    assert asked.items("route") == [route(second, FE2)]


def test_a_flow_of_another_server_of_the_pool_is_beyond_us() -> None:
    route_set = take_place(request(routes=[route(FLOW_TEXT, FE2)]), MATES, TOKENS)
    assert (route_set.flow, route_set.dialog) == (None, None)
    assert route_set.beyond is not None


def test_a_dialog_of_a_server_of_another_pool_is_beyond_us() -> None:
    route_set = take_place(request(routes=[route(DIALOG_TEXT, "fe3.example.test")]), MATES, TOKENS)
    assert route_set.dialog is None
    assert route_set.beyond is not None


def test_two_servers_of_the_pool_in_a_row_are_one_dialog_between_its_ends() -> None:
    asked = inside(routes=[route(TO_POOL, FE2), route(FROM_POOL)])
    assert said(take_place(asked, MATES, TOKENS)) == came()
    back = request(
        "BYE", BOB, sender=BOB, to=ALICE, tag="2", to_tag="1", routes=[route(FROM_POOL, FE2), route(TO_POOL)]
    )
    route_set = take_place(back, MATES, TOKENS)
    assert (route_set.dialog, route_set.from_a, route_set.from_b, route_set.sent_as, route_set.sent_to) == (
        DIALOG,
        False,
        True,
        True,
        True,
    )


def test_tokens_of_two_dialogs_are_not_joined() -> None:
    other = TOKENS.dialog(POOL_SIDE, BOB_SIDE, TOKENS.begun("call-2", "1", ALICE, BOB, ""))
    assert take_place(inside(routes=[route(TO_POOL, FE2), route(other)]), MATES, TOKENS).dialog is None


@pytest.mark.parametrize(("first", "second"), [(DIALOG_TEXT, FROM_POOL), (TO_POOL, DIALOG_TEXT), (TO_POOL, FLOW_TEXT)])
def test_what_does_not_lead_through_the_pool_is_not_joined(first: str, second: str) -> None:
    asked = inside(routes=[route(first, FE2), route(second)])
    assert take_place(asked, MATES, TOKENS) == RouteSet()


def test_user_behind_another_server_of_the_pool_is_returned() -> None:
    asked = inside(routes=[route(TO_POOL), route(FROM_POOL, FE2), route(FROM_POOL, f"{FE2}:5062")])
    route_set = take_place(asked, MATES, TOKENS)
    assert route_set.dialog == DialogToken(ALICE_SIDE, POOL_SIDE, begun())
    assert route_set.past == Past(POOL_SIDE, BOB_SIDE, 2)
    assert len(asked.items("route")) == 2


def test_no_user_is_returned_if_more_routes_follow() -> None:
    asked = inside(routes=[route(TO_POOL), route(FROM_POOL, FE2), AWAY])
    assert take_place(asked, MATES, TOKENS).past is None


def test_our_end_of_the_link_means_us() -> None:
    asked = inside(routes=[route(DIALOG_TEXT, "192.0.2.7:5061")])
    assert take_place(asked, NAMES, TOKENS, ("192.0.2.7", 5061)).dialog == DIALOG


@pytest.mark.parametrize("rows", [[f"<{CONTACT}>"], [AWAY, f"<{CONTACT}>"], [f"{AWAY},<{CONTACT}>"]])
def test_strict_routing_is_undone(rows: list[str]) -> None:
    """Our entry is in the Request-URI, and the Contact is at the end of the Route. The token is read all the same."""
    asked = request("BYE", f"sip:{DIALOG_TEXT}@{FE1};lr", to_tag="2", routes=rows)
    route_set = take(asked)
    assert (asked.uri, route_set.dialog) == (CONTACT, DIALOG)
    assert asked.items("route") == ([AWAY] if AWAY in ",".join(rows) else [])


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ("<sip:bob@192.0.2.9?Replaces=x>", 400),
        (f"<sip:{'b' * 8187}@a>", 414),
        ("<tel:+4930>", 416),
        ("<sip:b%zz@a>", 400),
    ],
)
def test_uri_moved_by_a_strict_router_must_be_a_request_uri(last: str, status: int) -> None:
    asked = request("BYE", f"sip:{DIALOG_TEXT}@{FE1};lr", to_tag="2", routes=[last])
    with pytest.raises(RemoteError) as wrong:
        take(asked)
    assert wrong.value.status == status


def test_longest_request_uri_that_a_strict_router_moved_is_put_back() -> None:
    uri = f"sip:{'b' * 8186}@a"
    asked = request("BYE", f"sip:{DIALOG_TEXT}@{FE1};lr", to_tag="2", routes=[f"<{uri}>"])
    assert (take(asked).dialog, asked.uri, len(uri)) == (DIALOG, uri, 8192)


@pytest.mark.parametrize(
    "uri", [f"sip:{DIALOG_TEXT}@{FE1}", f"sip:{DIALOG_TEXT}@other.test;lr", f"sip:garbage@{FE1};lr", f"sip:{FE1};lr"]
)
def test_a_request_uri_that_we_did_not_write_stays(uri: str) -> None:
    asked = request("BYE", uri, routes=[route(DIALOG_TEXT), AWAY])
    take(asked)
    assert (asked.uri, asked.items("route")) == (uri, [AWAY])


def test_empty_route_is_ignored() -> None:
    asked = request("BYE", f"sip:{DIALOG_TEXT}@{FE1};lr", routes=[""])
    assert take(asked) == RouteSet()


def test_an_empty_row_hides_no_entry_behind_it() -> None:
    asked = inside(routes=["", route(DIALOG_TEXT), "", AWAY])
    assert said(take(asked)) == came(SipUri.parse("sip:proxy.other.test;lr"))
    assert asked.items("route") == [AWAY]


@pytest.mark.parametrize(
    ("value", "status"),
    [("<tel:+1>", 416), (f"{route(DIALOG_TEXT)},,{AWAY}", 400), ("<sip:[::1;lr>", 400), ("<sip:>", 400)],
)
def test_malformed_route_is_a_remote_error(value: str, status: int) -> None:
    with pytest.raises(RemoteError) as wrong:
        take(request(routes=[value]))
    assert wrong.value.status == status


pieces = st.sampled_from(
    [
        "<",
        ">",
        ",",
        ";",
        "@",
        "sip:",
        "sips:",
        "tel:",
        FE1,
        "evil.test",
        "[::1]",
        DIALOG_TEXT,
        FLOW_TEXT,
        ";lr",
        '"',
        " ",
    ]
)
values = st.lists(pieces, max_size=12).map("".join) | st.text(
    st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=40
)


@given(
    st.lists(values, max_size=3), st.sampled_from([ALICE, f"sip:{DIALOG_TEXT}@{FE1};lr", f"sip:{FLOW_TEXT}@{FE1};lr"])
)
def test_any_route_is_read_or_a_remote_error(rows: list[str], uri: str) -> None:
    asked = request("BYE", uri, routes=rows)
    try:
        route_set = take(asked)
    except RemoteError:
        return
    assert route_set.dialog is None  # it has no To tag
    assert route_set.beyond is None or not NAMES.ours(route_set.beyond)


PATH_TEXT = TOKENS.path(41, ALICE, POOL_SIDE)
RECORDED_TEXT = TOKENS.recorded(PATH_TEXT, "c", "1")


@pytest.mark.parametrize(
    ("texts", "leads"),
    [([PATH_TEXT], True), ([PATH_TEXT, RECORDED_TEXT], True), ([RECORDED_TEXT], False), ([RECORDED_TEXT] * 2, False)],
)
def test_token_of_a_path_counts_before_what_was_record_routed(texts: list[str], *, leads: bool) -> None:
    """So a NOTIFY of the home pool has both: the way to the phone, and the route of its subscription."""
    place = take(request("NOTIFY", CONTACT, to_tag="2", routes=[route(text) for text in texts]))
    assert place.path is not None
    assert (place.path.is_recorded, place.beyond) == (not leads, None)


@pytest.mark.parametrize(
    ("routes", "to_tag", "has"),
    [
        ([route(DIALOG_TEXT)], "2", True),
        ([route(DIALOG_TEXT, FE2)], "2", True),
        ([AWAY] * (MOST_ENTRIES_OF_OURS - 1) + [route(DIALOG_TEXT)], "2", True),
        ([AWAY] * MOST_ENTRIES_OF_OURS + [route(DIALOG_TEXT)], "2", False),
        ([route(DIALOG_TEXT)], "3", False),
        ([route(FLOW_TEXT)], "2", True),
        ([route(PATH_TEXT)], "2", True),
        ([route(RECORDED_TEXT)], "2", True),
        ([route(TOKENS.login(41, ALICE))], "2", False),
        ([route(TOKENS.login(41, ALICE)), route(DIALOG_TEXT)], "2", True),
        ([route("made-up")], "2", False),
        (["<tel:42>"], "2", False),
        ([], "2", False),
    ],
)
def test_request_has_a_dialog_token_only_with_one_of_its_own_dialog(
    routes: list[str], to_tag: str, *, has: bool
) -> None:
    """Under overload, it is refused last: a To tag that the sender has made up, or the token of another call, is nothing."""
    asked = request("INFO", BOB, to_tag=to_tag, routes=routes)
    before = asked.encode()
    assert has_dialog_token(asked, TOKENS) is has
    assert asked.encode() == before


@pytest.mark.parametrize(
    ("uri", "route", "way"),
    [
        ("sip:example.test", None, "sip:example.test;transport=tls;lr"),
        ("sips:example.test:5071", None, "sips:example.test:5071;transport=tls;lr"),
        ("sip:stranger.test", None, ""),
        ("sip:example.test", "<sip:fe1.example.test:5061;lr>;x=1, <sip:other.test>", "sip:fe1.example.test:5061;lr"),
        ("sip:example.test", "<sip:fe1.example.test:5061>", ""),
        ("sip:example.test", "<sip:token@fe1.example.test;lr>", ""),
        ("sip:example.test", "<sip:fe1.example.test;lr?subject=x>", ""),
        ("sip:example.test", "<sip:stranger.test;lr>", ""),
    ],
)
def test_service_route_is_the_way_of_the_client_if_that_means_us(uri: str, route: str | None, way: str) -> None:
    """RFC 3608: the phone uses a name that it has resolved before, and gets no other."""
    asked = request("REGISTER", uri, routes=[route] if route else [])
    assert service_route(asked, FRONT_END.names) == way


@pytest.mark.parametrize(("length", "kept"), [(256, True), (257, False)])
def test_service_route_is_bounded(length: int, *, kept: bool) -> None:
    start = "sip:fe1.example.test;lr;x="
    way = f"{start}{'y' * (length - len(start))}"
    assert service_route(request("REGISTER", routes=[f"<{way}>"]), FRONT_END.names) == (way if kept else "")


def test_service_route_of_a_websocket_says_so() -> None:
    """The link decides, and not what the client has written into its Via."""
    asked = request("REGISTER", "sip:example.test")
    assert service_route(asked, FRONT_END.names, transport="ws") == "sip:example.test;transport=ws;lr"
