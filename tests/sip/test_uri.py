"""SIP URIs: RFC 3261 section 19.1, its examples, and what must be refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sipmessage import URI

from sipmesh.errors import RemoteError
from sipmesh.sip.uri import SipUri, scheme_of, split_host_port
from support.examples import examples

UNRESERVED = "abcXYZ019-_.!~*'()"
escaped = st.integers(0, 255).map(lambda octet: f"%{octet:02X}")


def words(alphabet: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(alphabet) | escaped, min_size=1, max_size=8).map("".join)


names = st.from_regex(
    r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?(\.[a-z]([a-z0-9-]{0,6}[a-z0-9])?){0,2}", fullmatch=True
).filter(lambda name: not name.split(".")[-1].isdigit())
hosts = names | st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(lambda address: address.compressed)
params = st.lists(
    st.tuples(st.from_regex(r"[a-z][a-z0-9.-]{0,6}", fullmatch=True), st.none() | words(UNRESERVED + "[]/:&+$")),
    max_size=3,
    unique_by=lambda param: param[0],
).map(tuple)
uris = st.builds(
    SipUri,
    scheme=st.sampled_from(["sip", "sips"]),
    user=words(UNRESERVED + "&=+$,;?/"),
    password=st.none() | words(UNRESERVED + "&=+$,"),
    host=hosts,
    port=st.none() | st.integers(0, 65535),
    params=params,
    headers=st.lists(st.tuples(words(UNRESERVED), words(UNRESERVED + "[]/?:+$")), max_size=2).map(tuple),
)


@given(uris)
def test_written_uri_is_read_back(uri: SipUri) -> None:
    assert SipUri.parse(str(uri)) == uri


@given(uris.map(lambda uri: replace(uri, headers=())), st.sampled_from(["h.example", "a-1.b2.test", "192.0.2.1"]))
def test_sipmessage_reads_the_same_parts(uri: SipUri, host: str) -> None:
    """The oracle decodes escapes, and knows no headers and not every host; what it knows must agree."""
    uri = replace(uri, host=host)
    other = URI.parse(str(uri))
    assert (other.scheme, other.host, other.port) == (uri.scheme, uri.host, uri.port)
    assert [name for name, _ in uri.params] == list(other.parameters)


@examples(300)
@given(st.text(alphabet=st.sampled_from('sip:@;=?&%41[]a.-<> \u00e9\x00\r\n,/"')) | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """All that is read can be written and read again; nothing but RemoteError leaves the parser."""
    try:
        uri = SipUri.parse(text)
    except RemoteError:
        return
    assert SipUri.parse(str(uri)) == uri


def test_case_is_kept_in_the_user_only() -> None:
    uri = SipUri.parse("SIP:Alice@EXAMPLE.Test:5061;Transport=TLS;LR")
    assert str(uri) == "sip:Alice@example.test:5061;transport=TLS;lr"
    assert (uri.param("transport"), uri.domain) == ("TLS", "example.test")
    assert (uri.has("lr"), uri.param("lr"), uri.has("maddr")) == (True, None, False)


@pytest.mark.parametrize(
    ("text", "aor"),
    [
        ("sip:alice@example.test", "sip:alice@example.test"),
        ("sips:alice@EXAMPLE.test:5061;transport=tls?subject=x", "sip:alice@example.test"),
        ("sip:%61lice:secret@example.test.", "sip:alice@example.test"),
        ("sip:a%2fb@example.test", "sip:a%2Fb@example.test"),
        ("sip:Alice@example.test", "sip:Alice@example.test"),
        ("sip:alice@[2001:DB8:0::1]:5061", "sip:alice@[2001:db8::1]"),
        ("sip:example.test;lr", "sip:example.test"),
        ("sip:sips%3Auser%40example.com@example.net", "sip:sips%3Auser%40example.com@example.net"),
    ],
)
def test_an_address_of_record_has_one_spelling(text: str, aor: str) -> None:
    assert SipUri.parse(text).aor == aor


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip",
        "alice@example.test",
        "sip:@example.test",
        "sip:alice@",
        "sip:alice@b@example.test",
        "sip:al ice@example.test",
        "sip:alice@exam ple.test",
        "sip:alice@example.test ",
        "sip:al\x00ice@example.test",
        "sip:al\u00efce@example.test",
        "sip:%4@example.test",
        "sip:%zz@example.test",
        "sip:alice@example.test:",
        "sip:alice@example.test:65536",
        "sip:alice@example.test:+1",
        "sip:alice@example.test:\u0661",
        "sip:alice@example..test",
        "sip:alice@-example.test",
        "sip:alice@example-.test",
        "sip:alice@192.0.2.256",
        "sip:alice@192.0.2",
        "sip:alice@192.0.2.1.1",
        "sip:alice@192.0.2.01",
        "sip:alice@192.0.2.0001",
        "sip:alice@192.0.x.1",
        "sip:alice@2001:db8::1",
        "sip:alice@[2001:db8::1",
        "sip:alice@[2001:db8:::1]",
        "sip:alice@[fe80::1%25eth0]",
        "sip:alice@[::1]5060",
        "sip:alice@example.test;",
        "sip:alice@example.test;;lr",
        "sip:alice@example.test;lr;LR",
        "sip:alice@example.test;a=b=c",
        "sip:alice@example.test?",
        "sip:alice@example.test?subject",
        "<sip:alice@example.test>",
    ],
)
def test_a_broken_uri_is_a_bad_request(text: str) -> None:
    with pytest.raises(RemoteError) as wrong:
        SipUri.parse(text)
    assert wrong.value.status == 400


@pytest.mark.parametrize("host", ["10.0.0.0", "255.255.255.255", "192.0.2.10", "192.0.2.1."])
def test_ipv4_address_is_a_host(host: str) -> None:
    assert SipUri.parse(f"sip:alice@{host}").host == host.removesuffix(".")


@pytest.mark.parametrize(
    "text", ["tel:+15551234", "nobodyKnowsThisScheme:totallyopaque", "soap.beep://192.0.2.103:3002"]
)
def test_another_scheme_is_unsupported(text: str) -> None:
    with pytest.raises(RemoteError) as wrong:
        SipUri.parse(text)
    assert wrong.value.status == 416


# The examples of RFC 3261 19.1.4.
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ],
)
def test_equivalent_as_the_rfc_says(one: str, other: str) -> None:
    assert SipUri.parse(one).equivalent(SipUri.parse(other))
    assert SipUri.parse(other).equivalent(SipUri.parse(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("sip:bob@biloxi.com", "sip:bob:pw@biloxi.com"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ],
)
def test_not_equivalent_as_the_rfc_says(one: str, other: str) -> None:
    assert not SipUri.parse(one).equivalent(SipUri.parse(other))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Example.Test", ("example.test", None)),
        ("example.test.:5061", ("example.test", 5061)),
        ("[2001:DB8::10:5070]", ("2001:db8::10:5070", None)),
        ("[2001:db8::10]:5070", ("2001:db8::10", 5070)),
        ("compose_host_1:5060", ("compose_host_1", 5060)),
    ],
)
def test_host_and_port_are_split(text: str, found: tuple[str, int | None]) -> None:
    assert split_host_port(text) == found


def test_a_long_uri_is_read_like_a_short_one() -> None:
    """Past the length that is cached the same parser runs."""
    assert SipUri.parse(f"sip:{'a' * 5000}@example.test").user == "a" * 5000


@pytest.mark.parametrize(
    ("text", "scheme"),
    [("TEL:+1", "tel"), ("sip:a", "sip"), ("a+b.c-1:x", "a+b.c-1"), ("1a:x", ""), ("x", ""), (":x", "")],
)
def test_schemes_of_any_uri(text: str, scheme: str) -> None:
    assert scheme_of(text) == scheme
