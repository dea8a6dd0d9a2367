"""The forms of the pages: each names an operation that changes something, and fields that the operation has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.console import draft_commands, operations, partner_commands
from sipmesh.server.console.operations import TABLE, operation_of
from sipmesh.server.console.pages.forms import FORMS, Form
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.management.replies import ASK_DNS, CALLS, FETCH_CRLS, PROBE_LINKS, TRACE_NETWORK
from sipmesh.server.management.revoking import is_listed
from sipmesh.trust.evidence import LinkKind
from support.console import Visitor, management_with_console
from support.managed import MGMT
from support.running import on_loop

TEMPLATES = Path(operations.__file__).with_name("templates")
PLANNED = {operations.ADD_POOL, operations.ADD_SERVER, operations.PARTNER_ADD}
"""What a page shows beside its form before it is done."""

FOR_PROGRAMS = {
    *(command.name for command in (PROBE_LINKS, ASK_DNS, FETCH_CRLS)),
    *(command.name for command in (TRACE_NETWORK, CALLS)),  # their pages run them
    *({*draft_commands.CHANGES, *partner_commands.CHANGES} - PLANNED - {operations.PARTNER_UNBLOCK}),
}
"""Operations of the API that no page has."""


def test_each_operation_that_changes_something_has_a_form_or_is_for_programs() -> None:
    changes = {operation.name for operation in TABLE if operation.changes}
    assert {form.operation for form in FORMS} == changes - FOR_PROGRAMS
    assert len({form.path for form in FORMS}) == len(FORMS)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.path)
def test_fields_of_a_form_are_those_of_its_operation(form: Form) -> None:
    assert {field.name for field in form.fields} <= set(operation_of(form.operation).given.model_fields)
    linked = [
        page.name for page in TEMPLATES.glob("*.html") if re.search(rf'href="{form.path}["?{{]', page.read_text())
    ]
    assert linked, "no page leads to it"


@on_loop
async def test_page_of_each_form_says_what_will_happen_to_those_alone_who_may_send_it(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as officer, Visitor(network) as viewer:
        await officer.log_in("security-officer")
        await viewer.log_in("viewer")
        for form in FORMS:
            asked = {field.name: f"<{field.name}>" for field in form.fields}
            shown, refused = await officer.get(form.path, params=asked), await viewer.get(form.path, params=asked)
            said = form.says.format_map({name: f"&lt;{name}&gt;" for name in asked})
            assert (shown.status, said in shown.text, f'action="{form.path}"' in shown.text) == (200, True, True)
            assert (refused.status, f'action="{form.path}"' in refused.text) == (403, False)


@on_loop
async def test_refused_form_keeps_what_was_typed_but_no_password(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as operator:
        await operator.log_in("operator")
        await operator.get("/user/add")
        typed = {"user": 'carol"@evil.test', "password": "secret-one"}
        refused = await operator.post("/user/add", **typed)
        assert (refused.status, "is not a SIP domain" in refused.text) == (409, True)
        assert ('value="carol&#34;@evil.test"' in refused.text, "secret-one" in refused.text) == (True, False)


@on_loop
@pytest.mark.wide
async def test_each_form_does_its_operation_and_says_what_has_happened(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as officer:
        await officer.log_in("security-officer")
        await officer.get("/users")
        for path, fields, told in (
            ("/user/add", {"user": "carol", "password": "secret-one"}, "carol@example.test is added"),
            ("/user/disable", {"user": "carol", "sure": "yes"}, "carol@example.test is disabled"),
            ("/sign-crls", {}, "New CRLs are signed: "),
            ("/issue", {"server": MGMT}, f"{MGMT} has a certificate with the serial"),
            ("/block", {"name": "evil.test", "sure": "yes"}, "evil.test is blocked in version 2"),
            ("/unblock", {"name": "evil.test"}, "evil.test is no longer blocked in version 3"),
            ("/rollback", {"version": "1", "base": "3", "why": "x", "force": "yes"}, "it has the content of version 1"),
        ):
            done = await officer.post(path, **fields)
            assert (done.status, told in done.text) == (200, True), done.text
        assert "confirm this" in (await officer.post("/user/remove", user="carol")).text
        plan = await network.ask(MGMT, "plan")
        form = {"why": "x", "base": str(plan["base"]), "digest": plan["digest"]}
        assert "is published." in (await officer.post("/publish", **form)).text
        serial = network.nodes[MGMT].certificates.presented.of(LinkKind.SERVER).chain[0].serial_number
        revoked = await officer.post("/revoke", serial=f"{serial:x}", reason="superseded", sure="yes")
        assert f"of {MGMT} is revoked (superseded)" in revoked.text


@on_loop
@pytest.mark.wide
async def test_draft_is_applied_and_a_server_that_does_not_confirm_takes_it_back(tmp_path: Path) -> None:
    """A viewer has no such form. With management alone nothing confirms the version; without other servers it is verified."""
    async with management_with_console(tmp_path) as network, Visitor(network) as operator, Visitor(network) as viewer:
        await operator.log_in("operator")
        await viewer.log_in("viewer")
        network.edit(lambda document: document.update(dane=True))
        plan = await network.ask(MGMT, "plan")
        form = {"why": "TLSA", "base": str(plan["base"]), "digest": plan["digest"], "wait_s": "0"}
        assert 'href="/apply?' in (await operator.get("/versions")).text
        assert 'href="/apply?' not in (await viewer.get("/versions")).text
        assert (await viewer.post("/apply", **form)).status == 403
        applied = await operator.post("/apply", **form)
        assert (applied.status, "is published, and its verification has" in applied.text) == (200, True), applied.text


@on_loop
async def test_older_certificate_is_revoked_by_its_serial_alone_and_only_by_a_security_officer(tmp_path: Path) -> None:
    """No page names the certificate any more: the file and the server have a newer one."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network) as officer,
        Visitor(network) as operator,
        Visitor(network) as viewer,
    ):
        older = network.nodes[MGMT].certificates.presented.of(LinkKind.SERVER).chain[0].serial_number
        for visitor, role in ((officer, "security-officer"), (operator, "operator"), (viewer, "viewer")):
            await visitor.log_in(role)
            shown = (await visitor.get("/certificates")).text
            assert ("by its serial number" in shown) is (visitor is officer)
        assert "has a certificate" in (await officer.post("/issue", server=MGMT)).text
        assert f"{older:x}" not in (await officer.get("/certificates")).text
        ca, digits = CaGenerations(network.organisation.folder / CA), f"{older:040x}"
        typed = ":".join(digits[at : at + 2] for at in range(0, 40, 2)).upper()
        for visitor in (operator, viewer):
            assert (await visitor.post("/revoke", serial=typed, sure="yes")).status == 403
        unknown = await officer.post("/revoke", serial="bad", sure="yes")
        assert (unknown.status, "has not issued that certificate" in unknown.text) == (409, True)
        assert not is_listed(ca, older)
        done = await officer.post("/revoke", serial=typed, reason="key-compromise", sure="yes")
        assert f"The certificate {older:x} of {MGMT} is revoked (key-compromise)" in done.text
        assert is_listed(ca, older)


@on_loop
async def test_plan_is_beside_the_form_and_changes_nothing_until_it_is_sent(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as operator, Visitor(network) as viewer:
        await operator.log_in("operator")
        await viewer.log_in("viewer")
        before = network.organisation.file.read_text()
        form = {"role": "front-end", "name": "pool9", "servers": "fe91 127.0.0.1\nfe92, 127.0.0.1\n"}
        await operator.get("/add/pool")
        planned = await operator.post("/add/pool", do="plan", **form)
        assert (planned.status, "pool pool9.example.test is added" in planned.text) == (200, True), planned.text
        assert ("fe92.example.test" in planned.text, 'value="pool9"' in planned.text) == (True, True)
        assert (await viewer.post("/add/pool", do="change", **form)).status == 403
        assert network.organisation.file.read_text() == before
        done = await operator.post("/add/pool", do="change", **form)
        assert (done.status, "The draft is changed" in done.text) == (200, True), done.text
        assert "fe92.example.test" in network.organisation.file.read_text()
        added = await operator.post("/add/server", do="change", pool="pool9", address="127.0.0.1")
        assert (added.status, "The draft is changed" in added.text) == (200, True), added.text


@on_loop
async def test_form_that_cannot_be_planned_keeps_what_was_typed(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as officer, Visitor(network) as operator:
        await officer.log_in("security-officer")
        await operator.log_in("operator")
        assert (await operator.get("/add/partner")).status == 403
        await officer.get("/add/partner")
        typed = {"domains": "partner.test, b.test", "anchors": "no <pem>", "crls": "http://crl.test/a.crl"}
        typed |= {"client_usage": "strict", "fingerprints": "0" * 64}
        refused = await officer.post("/add/partner", do="plan", media="", identity="", edge="", address="", **typed)
        assert (refused.status, "send certificates in PEM" in refused.text) == (409, True), refused.text
        assert ("no &lt;pem&gt;" in refused.text, 'value="partner.test, b.test"' in refused.text) == (True, True)


@on_loop
async def test_link_of_another_site_fills_in_no_form(tmp_path: Path) -> None:
    """The same link of our own pages does; a form that gives trust takes nothing from a link at all."""
    led_here = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    async with management_with_console(tmp_path) as network, Visitor(network) as officer:
        await officer.log_in("security-officer")
        for path in ("/block?name=partner.test", "/user/disable?user=partner.test"):
            ours, theirs = await officer.get(path), await officer.get(path, headers=led_here)
            assert (ours.status, theirs.status) == (200, 200)
            assert ('value="partner.test"' in ours.text, "partner.test" in theirs.text) == (True, False)
        assert "evil" not in (await officer.get("/add/partner?domains=evil.test&fingerprints=evil")).text
