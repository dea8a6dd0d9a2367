"""The forms of the pages: each names an operation that changes something, and fields that the operation has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sipmesh.server.console import draft_commands, operations, partner_commands
from sipmesh.server.console.operations import TABLE, operation_of
from sipmesh.server.console.pages.form import Form
from sipmesh.server.console.pages.forms import FORMS
from sipmesh.server.management.replies import ASK_DNS, CALLS, FETCH_CRLS, PROBE_LINKS, TRACE_NETWORK
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
