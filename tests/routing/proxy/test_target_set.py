from dataclasses import replace

import pytest

from routing.messages import ALICE, BOB, CONTACT, FE1, FE2, request, row
from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.routing.outcome import Answer, Forward
from sipmesh.routing.proxy.target_set import as_sip, devices, fork, is_sips
from sipmesh.routing.registrar.binding import Binding
from sipmesh.routing.target import FlowTarget, Found, RemoteFlowTarget, Target
from sipmesh.trust.code import Code

SIPS_BOB = "sips:bob@example.test"
SIPS_CONTACT = "sips:bob@192.0.2.9:49152;transport=tls"


def forked(*rows: Binding, uri: str = BOB) -> tuple[Target, ...]:
    outcome = fork(request("INVITE", uri), rows, ALICE, FE1, {FE2})
    assert isinstance(outcome, Forward)
    assert outcome.identity == ALICE
    return outcome.targets


def refused(*rows: Binding, uri: str = BOB) -> Answer:
    outcome = fork(request("INVITE", uri), rows, ALICE, FE1, {FE2})
    assert isinstance(outcome, Answer)
    return outcome


def test_a_flow_of_ours_is_a_target_with_its_contact_and_owner() -> None:
    assert forked(row(q=0.5)) == (FlowTarget(42, owner_hash(BOB), CONTACT, 0.5, Found.ROW),)


def test_a_flow_of_another_server_of_the_pool_goes_there() -> None:
    held = row(server=FE2, q=0.5)
    [target] = forked(held)
    assert target == RemoteFlowTarget(held, CONTACT)
    assert target.q == 0.5


def test_a_flow_of_a_server_that_is_not_of_the_pool_is_no_target() -> None:
    """Rows may outlive the topology they were written under."""
    assert refused(row(server="fe9.example.test")).status == 480
    assert forked(row(server="fe9.example.test"), row()) == forked(row())


def test_a_user_without_registrations_is_unavailable() -> None:
    answer = refused()
    assert (answer.status, answer.headers) == (480, (("Warning", f'399 {FE1} "not registered"'),))


def test_every_device_is_a_target() -> None:
    assert len(forked(row("sip:bob@a"), row("sip:bob@b", server=FE2), row("sip:bob@c", instance="<urn:uuid:1>"))) == 3


def test_flows_of_one_device_are_one_target_with_spares() -> None:
    """RFC 5626 section 7: never two contacts of one instance at a time."""
    mine, theirs = row(instance="<urn:uuid:A>"), row("sip:bob@b", server=FE2, instance="<urn:uuid:a>")
    here, there = FlowTarget(42, owner_hash(BOB), CONTACT), RemoteFlowTarget(theirs, "sip:bob@b")
    assert forked(mine, theirs) == (replace(here, spares=(there,)),)
    assert forked(theirs, mine) == (replace(there, spares=(here,)),)


def test_one_contact_registered_twice_is_one_device() -> None:
    first, second = FlowTarget(1, owner_hash(BOB), CONTACT), FlowTarget(2, owner_hash(BOB), CONTACT)
    assert forked(row(flow=1), row(flow=2)) == (replace(first, spares=(second,)),)


def test_devices_keep_the_order_of_their_rows() -> None:
    a, b, c = row("sip:a@h", instance="1"), row("sip:b@h", instance="2"), row("sip:c@h", instance="1")
    assert devices([a, b, c]) == [[a, c], [b]]
    assert devices([a]) == [[a]]


def test_a_sips_request_goes_to_sips_contacts_only() -> None:
    [target] = forked(row(), row(SIPS_CONTACT, flow=43), uri=SIPS_BOB)
    assert target.uri == SIPS_CONTACT


def test_sips_request_for_sip_contacts_gets_warning_380() -> None:
    """RFC 5630 section 5.3 and 6.2: Warning 380."""
    answer = refused(row(), uri=SIPS_BOB)
    assert (answer.status, answer.code) == (480, Code.NO_ROUTE)
    assert answer.headers == (("Warning", f'380 {FE1} "SIPS Not Allowed"'),)


def test_a_sips_request_for_an_unknown_user_or_for_another_pools_flow_has_no_such_warning() -> None:
    for answer in (refused(uri=SIPS_BOB), refused(row(SIPS_CONTACT, server="fe9.example.test"), uri=SIPS_BOB)):
        assert answer.headers == (("Warning", f'399 {FE1} "not registered"'),)


def test_a_sip_request_to_a_sips_contact_stays_sip() -> None:
    [target] = forked(row(SIPS_CONTACT))
    assert target.uri == CONTACT


@pytest.mark.parametrize(("uri", "sips"), [("sips:a", True), ("SIPS:a", True), ("sip:a", False), ("sip:sips:a", False)])
def test_sips_is_recognised_by_the_scheme(uri: str, *, sips: bool) -> None:
    assert is_sips(uri) is sips
    assert not is_sips(as_sip(uri))
