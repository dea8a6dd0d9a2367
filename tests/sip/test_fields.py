"""name-addr, Via and CSeq."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sipmessage import Address
from sipmessage import Via as OtherVia

from sipmesh.errors import RemoteError
from sipmesh.sip.fields import CSeq, NameAddr, Via, _name_addr, bounded, first_item, parse_params, split_list
from support.examples import examples

tokens = st.text(string.ascii_letters + string.digits + "-.!%*_+`'~", min_size=1, max_size=8)
quoted = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=8).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)
params = st.lists(
    st.tuples(tokens.map(str.lower), st.none() | tokens | quoted), max_size=3, unique_by=lambda param: param[0]
).map(tuple)
displays = st.none() | st.text(st.characters(exclude_characters="\r\n"), max_size=12)
addresses = st.builds(NameAddr, displays, st.sampled_from(["sip:a@b.example", "tel:+1", "sips:[::1]:5"]), params)


@given(addresses)
def test_an_address_survives_the_wire(address: NameAddr) -> None:
    assert NameAddr.parse(str(address)) == address


@given(
    st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), max_size=12),
    tokens.filter(lambda tag: "%" not in tag),
)
def test_sipmessage_reads_the_same_address(display: str, tag: str) -> None:
    """The oracle decodes escapes in tags, where there are none by the grammar; so no tag here has one."""
    text = str(NameAddr(display, "sip:a@b.example", (("tag", tag),)))
    other = Address.parse(text)
    assert (other.name, other.parameters.get("tag"), other.uri.user) == (display, tag, "a")


@examples(300)
@given(st.text(alphabet=st.sampled_from('a<>":;=,\\ *\t%sip')) | st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for parse in (NameAddr.parse, Via.parse, CSeq.parse):
        try:
            found = parse(text)
        except RemoteError:
            continue
        assert parse(str(found)) == found


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("<sip:a@b>", NameAddr(None, "sip:a@b")),
        ("sip:a@b;tag=1", NameAddr(None, "sip:a@b", (("tag", "1"),))),
        ("sip:a@b ; TAG = 1 ;lr", NameAddr(None, "sip:a@b", (("tag", "1"), ("lr", None)))),
        ("caller<sip:a@b>;tag=1", NameAddr("caller", "sip:a@b", (("tag", "1"),))),
        ("A  B <sip:a@b;x=1?y=2>", NameAddr("A  B", "sip:a@b;x=1?y=2")),
        (r'"a \"b\\ <x>" <sip:a@b>', NameAddr('a "b\\ <x>', "sip:a@b")),
        ("<http://www.example.com>;q=1", NameAddr(None, "http://www.example.com", (("q", "1"),))),
        ("<sip:a@b>;received=[2001:db8::1]", NameAddr(None, "sip:a@b", (("received", "[2001:db8::1]"),))),
        ('sip:a@b;x="<y>;z"', NameAddr(None, "sip:a@b", (("x", '"<y>;z"'),))),
        ("*", NameAddr(None, "*")),
    ],
)
def test_addresses_in_all_their_forms(text: str, address: NameAddr) -> None:
    assert NameAddr.parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a@b",
        "<a@b>",
        "< sip:a@b >",
        "<sip:a@b",
        "sip:a@b>",
        '"a <sip:a@b>',
        '"a" sip:a@b',
        "Bell, Alexander <sip:a@b>",
        "\u00e9 <sip:a@b>",
        "sip:a@b?Route=c",
        "sip:a,b@c",
        "<sip:a@b> x",
        "<sip:a@b>,<sip:c@d>",
        "<sip:a@b>;",
        "<sip:a@b>;;tag=1",
        "<sip:a@b>;tag=1;tag=2",
        "<sip:a@b>;tag=a b",
        '<sip:a@b>;tag="1',
        '<sip:a@b>;tag="1"2',
        "<sip:a@b>;t ag=1",
        "\u00a0<sip:a@b>",
        "<sip:a@b>\u2003;tag=1",
        "<sip:a@b>;\x0btag=1",
        "<sip:a@b>;tag=\x1f1",
        "<sip:a@b>;tag=\u0661",
        "<sip:a@b>;tag=1@b",
        "sip:a@b;x=1?Route=c",
        "sip:a;x=1@b",
    ],
)
def test_a_broken_address_is_a_bad_request(text: str) -> None:
    with pytest.raises(RemoteError) as wrong:
        NameAddr.parse(text)
    assert wrong.value.status == 400


def test_a_parameter_is_given_without_its_quotes() -> None:
    """The instance of a phone is quoted on the wire, and is written back as it came."""
    text = '<sip:a@b>;+sip.instance="<urn:uuid:1>";reg-id=1;ob'
    contact = NameAddr.parse(text)
    assert contact.param("+sip.instance") == "<urn:uuid:1>"
    assert (contact.param("reg-id"), contact.param("ob"), contact.tag) == ("1", None, None)
    assert str(contact) == text


def test_the_uri_of_an_address_is_read_on_demand() -> None:
    assert NameAddr.parse('"A" <sip:a@B.example>;tag=1').sip_uri.aor == "sip:a@b.example"
    with pytest.raises(RemoteError) as wrong:
        _ = NameAddr.parse("<tel:+1>").sip_uri
    assert wrong.value.status == 416


@given(tokens, st.none() | st.integers(0, 65535), st.lists(tokens.map(str.lower), unique=True, max_size=3))
def test_sipmessage_reads_the_same_via(transport: str, port: int | None, names: list[str]) -> None:
    via = Via(transport.upper(), "h.example", port, tuple((name, "1") for name in names))
    other = OtherVia.parse(str(via))
    assert (other.transport.upper(), other.host, other.port) == (via.transport, via.host, via.port)
    assert Via.parse(str(via)) == via


@pytest.mark.parametrize(
    ("text", "via"),
    [
        ("SIP/2.0/TLS a.example:5061;branch=z9hG4bK1", Via("TLS", "a.example", 5061, (("branch", "z9hG4bK1"),))),
        ("SIP / 2.0 / UDP  192.0.2.2 ; branch = 1", Via("UDP", "192.0.2.2", None, (("branch", "1"),))),
        ("sip/2.0/tls [2001:db8::9] : 5061", Via("TLS", "2001:db8::9", 5061)),
        ("SIP/2.0/WSS xyz.invalid;rport;alias", Via("WSS", "xyz.invalid", None, (("rport", None), ("alias", None)))),
        ("SIP/2.0/UNKNOWN t4.example.com", Via("UNKNOWN", "t4.example.com")),
    ],
)
def test_vias_in_all_their_forms(text: str, via: Via) -> None:
    assert Via.parse(text) == via


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0",
        "SIP/2.0/TLS",
        "SIP/3.0/TLS a.example",
        "HTTP/2.0/TLS a",
        "SIP/2.0/TLS a b",
        "SIP/2.0/TLS a;;",
        "SIP/2.0/TLS 2001:db8::9:1",
        "SIP/2.0/TLS\u00a0a",
        "SIP/2.0\x1f/TLS a",
        "\u017fIP/2.0/TLS a",
        "SIP/2.0/TLS a:\u0665061",
        "SIP/2.0/TLS a;branch=z9hG4bK\x0b1",
        "SIP/2.0/TLS a;branch=z9hG4bK\u00e9",
        "SIP/2.0/TLS a;branch=z9hG4bK(1",
    ],
)
def test_a_broken_via_is_a_bad_request(text: str) -> None:
    with pytest.raises(RemoteError):
        Via.parse(text)


def test_a_via_gives_its_parameters() -> None:
    via = Via.parse('SIP/2.0/TLS [::1]:5;branch=1;rport;x="y z"')
    assert (via.param("branch"), via.param("rport"), via.param("x"), via.sent_by) == ("1", None, "y z", "[::1]:5")


def test_source_address_is_written_into_the_via() -> None:
    """RFC 3581 section 4: the port only where the sender asked for it."""
    asked = Via.parse("SIP/2.0/TLS xyz.invalid;rport;branch=1;received=9.9.9.9").received("192.0.2.7", 40122)
    assert str(asked) == "SIP/2.0/TLS xyz.invalid;branch=1;received=192.0.2.7;rport=40122"
    silent = Via.parse("SIP/2.0/TLS xyz.invalid;branch=1").received("2001:db8::7", 40122)
    assert str(silent) == "SIP/2.0/TLS xyz.invalid;branch=1;received=2001:db8::7"
    assert (asked.has("rport"), silent.has("rport"), silent.branch, silent.sent_by) == (True, False, "1", "xyz.invalid")


@pytest.mark.parametrize(
    ("text", "cseq"),
    [("1 INVITE", CSeq(1, "INVITE")), ("0009   INVITE", CSeq(9, "INVITE")), ("2147483647\tX", CSeq(2**31 - 1, "X"))],
)
def test_cseqs(text: str, cseq: CSeq) -> None:
    assert CSeq.parse(text) == cseq


@pytest.mark.parametrize(
    "text",
    ["", "1", "INVITE", "-1 INVITE", "1 IN VITE", "2147483648 INVITE", "9" * 10_000 + " INVITE", "\u0661 INVITE", "1 "],
)
def test_a_broken_cseq_is_a_bad_request(text: str) -> None:
    with pytest.raises(RemoteError):
        CSeq.parse(text)


@pytest.mark.parametrize(
    ("digits", "value"), [("0", 0), ("0" * 50 + "7", 7), ("255", 255), ("256", None), ("9" * 50, None)]
)
def test_numbers_above_the_bound_are_none(digits: str, value: int | None) -> None:
    assert bounded(digits, 255) == value


def test_lists_are_split_and_empty_items_kept() -> None:
    assert split_list("a") == ["a"]
    assert split_list(" ") == []
    assert split_list("a,,<b,c>") == ["a", "", "<b,c>"]
    assert first_item('"x,y" <sip:a>, <sip:b>') == '"x,y" <sip:a>'
    assert parse_params('a;b="c;d" ; e=f', "field") == (("a", None), ("b", '"c;d"'), ("e", "f"))


def test_uri_of_an_address_has_the_printable_ascii_characters_of_uris_only() -> None:
    refused = set()
    for character in map(chr, range(256)):
        try:
            NameAddr.parse(f"<sip:a{character}b@h.example>")
        except RemoteError:
            refused.add(character)
    assert {character for character in refused if " " <= character <= "~"} == set(' "<\\^`{|}>')
    assert refused >= {*map(chr, range(32)), *map(chr, range(127, 256))}


@given(
    st.text('"<>;=, ab\\', max_size=8),
    st.sampled_from(["<sip:a@h.example>", "<sip:a@h.example;x=y>", '<sip:a@h.example>;p="<b>', "sip:a@h.example", ""]),
    st.sampled_from(["1", "a-b", "", "é", 'a"', "a;tag=b", "a>;tag=b"]),
)
def test_address_with_a_tag_is_read_as_by_the_whole_grammar(display: str, uri: str, tag: str) -> None:
    """The tag is read apart from its address: nothing may pass by that, or be read in another way."""
    text = f"{display}{uri};tag={tag}"
    try:
        whole = _name_addr(text)
    except RemoteError:
        with pytest.raises(RemoteError):
            NameAddr.parse(text)
    else:
        read = NameAddr.parse(text)
        assert (read, read.tag, read.is_sip, str(read)) == (whole, whole.tag, whole.is_sip, str(whole))
