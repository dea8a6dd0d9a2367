"""The requests of the event package, and how they differ from others."""

from __future__ import annotations

import pytest

from distribution.world import FE1, MGMT, here
from sipmesh.distribution.event import (
    CRL,
    EVENT,
    STATUS_EVENT,
    SubscriptionDialog,
    event_of,
    is_ours,
    named,
    names_package,
)
from sipmesh.sip.message import Request, build_request


def request(method: str, event: str, uri: str = f"sip:{MGMT}", sender: str = f"<sip:{FE1}>;tag=1") -> Request:
    return build_request(method, uri, [("from", sender), ("event", event)])


@pytest.mark.parametrize(
    ("method", "event", "uri", "ours"),
    [
        ("SUBSCRIBE", EVENT, f"sip:{MGMT}", True),
        ("NOTIFY", "SipMesh ;id=1", f"sip:{MGMT}", True),
        ("PUBLISH", STATUS_EVENT, f"sip:{MGMT}", True),
        ("PUBLISH", EVENT, f"sip:{MGMT}", False),
        ("SUBSCRIBE", STATUS_EVENT, f"sip:{MGMT}", False),
        ("SUBSCRIBE", "presence", f"sip:{MGMT}", False),
        ("SUBSCRIBE", EVENT, f"sip:alice@{MGMT}", False),
        ("OPTIONS", EVENT, f"sip:{MGMT}", False),
    ],
)
def test_package_request_has_its_method_its_event_and_no_user_in_the_uri(
    method: str, event: str, uri: str, *, ours: bool
) -> None:
    assert is_ours(request(method, event, uri)) is ours


@pytest.mark.parametrize(
    ("event", "names"),
    [(EVENT, True), (f"{EVENT}.winfo", True), (STATUS_EVENT, True), ("sipmeshes", False), ("", False)],
)
def test_template_of_the_package_is_the_package(event: str, *, names: bool) -> None:
    """RFC 6665 section 7.2."""
    assert names_package(request("SUBSCRIBE", event)) is names


def test_request_without_an_event_has_none() -> None:
    assert event_of(build_request("SUBSCRIBE", f"sip:{MGMT}", [])) == ""


@pytest.mark.parametrize(("sender", "name"), [(f"<sip:{FE1}>;tag=1", FE1), ("<tel:1>", ""), ("<", "")])
def test_name_of_the_sender_is_the_host_in_from(sender: str, name: str) -> None:
    assert named(request("SUBSCRIBE", EVENT, sender=sender)) == name


def test_first_request_begins_a_dialog_and_the_next_goes_on_in_it() -> None:
    first = here(FE1).first("SUBSCRIBE", MGMT, [("event", EVENT)], b"{}")
    assert (first.uri, first.to.tag, first.cseq.number, first.first("content-type")) == (
        f"sip:{MGMT}",
        None,
        1,
        "application/json",
    )
    dialog = SubscriptionDialog(first.call_id, first.from_.tag or "", "theirs", MGMT)
    second = here(FE1).next("NOTIFY", dialog, [("event", EVENT)], b"list", CRL)
    assert (second.call_id, second.from_.tag, second.to.tag) == (first.call_id, first.from_.tag, "theirs")
    assert (second.cseq.number, second.first("content-type")) == (2, CRL)
    assert second.top_via.branch != first.top_via.branch


def test_request_without_a_body_has_no_content_type() -> None:
    assert here(FE1).first("SUBSCRIBE", MGMT, []).first("content-type") is None
