"""The shape of a document: the text and place of each error. An error does not hide other problems."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from sipmesh.errors import OperatorError
from sipmesh.topology.document.load import load_text
from support.examples import examples
from topology.world import TOPOLOGY

if TYPE_CHECKING:
    from topology.world import Place

FE1 = "{name: fe1.example.test, address: 127.0.0.1, ports: {client: 5061, server: 5062}}"


@pytest.mark.parametrize(
    ("old", "new", "field", "reason", "remedy"),
    [
        ("sipmesh: 1", "sipmesh: 2", "sipmesh", "is 2", "write 1"),
        ("sipmesh: 1\n", "", "", "`sipmesh` is missing", "add `sipmesh`"),
        ("organisation: Example", "organisation: ''", "organisation", "is empty", "give at least one"),
        ("organisation: Example", f"organisation: {'x' * 65}", "organisation", "is too long", "at most 64"),
        ("organisation: Example", "organization: Example", "organization", "not a known key", "'organisation'"),
        (
            "role: edge",
            "role: edgy",
            "pools[2].role",
            "is 'edgy'",
            "'front-end', 'edge', 'application', 'management' or 'gateway'",
        ),
        ("[fe3.example.test]", "fe3.example.test", "pools[1].servers", "expected a list", "[a, b]"),
        ("[fe3.example.test]", "[]", "pools[1].servers", "is empty", "give at least one"),
        ("[fe3.example.test]", "[10.0.0.3]", "pools[1].servers[0]", "is an IP address", "write the full name"),
        ("[fe3.example.test]", "[fe3]", "pools[1].servers[0]", "is a short name", "'fe3.example.com'"),
        ("[fe3.example.test]", "['*.example.test']", "pools[1].servers[0]", "is a wildcard", "name each"),
        ("[fe3.example.test]", "[[fe3.example.test]]", "pools[1].servers[0]", "is a list", ""),
        ("client: 5061", "client: '5061'", "pools[0].servers[0].ports.client", "expected a whole number", ""),
        ("client: 5061", "client: true", "pools[0].servers[0].ports.client", "expected a whole number", ""),
        ("client: 5061", "client: 0", "pools[0].servers[0].ports.client", "a number from 1 on", ""),
        ("client: 5061", "client: 65536", "pools[0].servers[0].ports.client", "a number up to 65535", ""),
        ("client: 5061", "clinet: 5061", "pools[0].servers[0].ports.clinet", "not a known key", "'client'"),
        ("address: 127.0.0.2", "address: fe2.example.test", "pools[0].servers[1].address", "not an IP address", ""),
        ("organisation: Example", "organisation: A\ncall_records: {days: 9999}", "call_records.days", "up to 3660", ""),
        (
            "role: application",
            "role: application\n    numbers: [abc]",
            "pools[3].numbers[0]",
            "another form",
            "+49301234",
        ),
        (
            "role: application",
            f"role: application\n    numbers: {['+1'] * 1001}",
            "pools[3].numbers",
            "has 1001 items",
            "at most 1000",
        ),
        (
            "route: sip.example.test",
            "route: sip.example.test\n  ct_logs: [{operator: A, key: x}]",
            "federation.ct_logs[0].key",
            "is not the key of a log",
            "copy `key`",
        ),
        ("[ca/root.pem]", "[]", "authority.anchors", "is empty", "PEM files"),
        ("[ca/root.pem]", "['']", "authority.anchors[0]", "is empty", "PEM files"),
        ("[ca/root.pem]", '["\\0"]', "authority.anchors[0]", "has another form", "PEM files"),
        ("crls: [ca/root.crl, ca/issuing.crl]", "", "authority", "`crls` is missing", "one CRL for each CA"),
        ("crls: [ca/root.crl, ca/issuing.crl]", "crls: []", "authority.crls", "is empty", "one CRL for each CA"),
        (
            "crls: [ca/root.crl, ca/issuing.crl]",
            "crls: ['ftp://a/b']",
            "authority.crls[0]",
            "a scheme that is not allowed",
            "http:",
        ),
        (
            "crls: [ca/root.crl, ca/issuing.crl]",
            "crls: ['http://']",
            "authority.crls[0]",
            "a scheme that is not allowed",
            "http:",
        ),
        ("crls: [ca/root.crl, ca/issuing.crl]", "crls: ['http://a:x/']", "authority.crls[0]", "is not a URL", "http:"),
        ("crls: [ca/root.crl, ca/issuing.crl]", "crls: ['http://a/ b']", "authority.crls[0]", "is not a URL", "%XX"),
        (
            "crls: [ca/root.crl, ca/issuing.crl]",
            "crls: ['http://me:pw@a/']",
            "authority.crls[0]",
            "password",
            "without login",
        ),
        (
            "crls: [ca/root.crl, ca/issuing.crl]",
            "crls: ['http://a/#b']",
            "authority.crls[0]",
            "a fragment",
            "remove #",
        ),
        ("      client_usage: server-ok", "      grace: 721", "federation.partners[1].grace", "721 hours", "0 to 720"),
        (
            "      client_usage: server-ok",
            "      grace: -1",
            "federation.partners[1].grace",
            "expected a whole number",
            "",
        ),
        (
            "      client_usage: server-ok",
            "      ocsp: [o.test]",
            "federation.partners[1].ocsp[0]",
            "a scheme that is not allowed",
            "http:",
        ),
        (
            "      client_usage: server-ok",
            "      revocation: off",
            "federation.partners[1].revocation",
            "is",
            "'lists'",
        ),
        (
            "crls: [partners/b/root.crl, partners/b/issuing.crl]",
            "",
            "federation.partners[0]",
            "`crls` is missing",
            "one CRL for each CA",
        ),
        ("discovery: off", "discovery: on", "federation.discovery", "is 'on'", "write 'off'"),
        ("client_usage: server-ok", "client_usage: any", "federation.partners[1].client_usage", "is 'any'", "'strict'"),
        ("edge: sip.partner.test", "edge: 192.0.2.1", "federation.partners[0].edge", "is an IP address", ""),
        ("edge: sip.partner.test", "edge: sip.partner.test:0", "federation.partners[0].edge", "'0' is not a port", ""),
        ("blocked: [evil.test]", "blocked: evil.test", "federation.blocked", "expected a list", ""),
        ("blocked: [evil.test]", "blocked:", "federation.blocked", "is empty, expected a list", ""),
        ("federation:\n", "dns: {}\nfederation:\n", "dns", "`servers` is missing", ""),
        ("federation:\n", "dns: {servers: [ns.test]}\nfederation:\n", "dns.servers[0]", "not an IP address", ""),
        ("federation:\n", "storage: {users: 7}\nfederation:\n", "storage.users", "is 7, expected text", ""),
    ],
)
def test_each_error_is_reported_once_with_its_place(
    place: Place, old: str, new: str, field: str, reason: str, remedy: str
) -> None:
    place.spoil((old, new))
    problems = place.problems()
    found = [problem for problem in problems if problem.field == field and reason in problem.reason]
    assert len(found) == 1, [str(problem) for problem in problems]
    assert remedy in found[0].remedy
    assert {problem.field for problem in problems} <= {field, ""}, "a misfit brings no follow-ups"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("discovery: off", "discovery: false"),  # what YAML 1.1 tools make of off
        ("edge: sip.partner.test", "edge: sip.partner.test:5081"),
        ("federation:\n", "dns: {servers: ['127.0.0.1:5353']}\nfederation:\n"),
        ("speaks_for: [example.test]", "speaks_for: []"),
        ("address: 127.0.0.2", "address: '::1'"),
        ("blocked: [evil.test]", "blocked: []"),
        ("client: 5061", "client: 65535"),
        (f"organisation: Exa{'m'}ple", f"organisation: {'x' * 64}"),
    ],
)
def test_corrected_document_loads(place: Place, old: str, new: str) -> None:
    place.spoil((old, new))
    assert place.load()


def test_a_document_that_is_no_mapping_is_a_problem(place: Place) -> None:
    place.file.write_text("- one\n- two\n")
    assert "expected keys with values" in place.problem().reason


def test_missing_pools_are_the_only_problem(place: Place) -> None:
    place.file.write_text(TOPOLOGY.replace("pools:", "pool:"))
    assert [(problem.field, problem.reason) for problem in place.problems()] == [
        ("", "`pools` is missing"),
        ("pool", "is not a known key"),
    ]


def test_removed_part_causes_no_further_problems(place: Place) -> None:
    """A pool with a misspelt role is not read. The next hop of the edge to that pool is not reported too."""
    place.spoil(("name: pool1.example.test\n    role: front-end", "name: pool1.example.test\n    role: frontend"))
    assert place.problem().field == "pools[0].role"


@pytest.mark.parametrize(("wrong", "listed"), [(200, 200), (201, 201), (4_000, 201)])
def test_of_very_many_errors_the_first_are_listed(place: Place, wrong: int, listed: int) -> None:
    """Each costs a walk through the document: the time of a file of a megabyte rose with their square."""
    place.file.write_text(TOPOLOGY + "".join(f"k{number}: 1\n" for number in range(wrong)))
    problems = place.problems()
    assert len(problems) == listed
    assert sum(problem.reason == "is not a known key" for problem in problems) == 200
    assert [problem.reason for problem in problems if "the first 200 are listed" in problem.reason] == (
        [f"has {wrong} values that cannot be used; the first 200 are listed"] if wrong > 200 else []
    )


def test_a_long_wrong_value_is_cut_short(place: Place) -> None:
    place.spoil(("role: edge", f"role: {'x' * 500}"))
    assert len(place.problem().reason) < 60


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["a.test", "front-end", "1.2.3.4"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "servers", "x"]), inner),
    max_leaves=5,
)
LINES = TOPOLOGY.splitlines(keepends=True)


@examples(80, 200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(LINES) - 1), st.sampled_from(["drop", "double", "value"]), VALUES)
def test_any_line_dropped_doubled_or_filled_with_anything_loads_or_is_refused(
    place: Place, at: int, how: str, value: object
) -> None:
    """Nothing but OperatorError ever leaves the loader."""
    line = LINES[at]
    key = line.partition(":")[0]
    instead = {"drop": "", "double": line * 2, "value": f"{key}: {value!r}\n".replace("None", "null")}[how]
    text = "".join([*LINES[:at], instead, *LINES[at + 1 :]])
    with suppress(OperatorError):
        assert load_text(text.encode("utf-8", "surrogatepass"), place.file)
