"""The forms of the pages: each names an operation that changes something, and fields that the operation has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sipmesh.server.console import draft_commands, operations, partner_commands
from sipmesh.server.console.operations import TABLE, operation_of
from sipmesh.server.console.pages.forms import FORMS, Form
from sipmesh.server.management.replies import ASK_DNS, PROBE_LINKS
from sipmesh.trust.evidence import LinkKind
from support.console import Visitor, management_with_console
from support.managed import MGMT
from support.running import on_loop

TEMPLATES = Path(operations.__file__).with_name("templates")
OURS = {"form_token", "sure", "force"}
FOR_PROGRAMS = {PROBE_LINKS.name, ASK_DNS.name, operations.APPLY, *draft_commands.CHANGES, *partner_commands.CHANGES}
"""Operations of the API that no page has."""


def test_each_operation_that_changes_something_has_a_form_or_is_for_programs() -> None:
    changes = {operation.name for operation in TABLE if operation.changes}
    assert {form.operation for form in FORMS} == changes - FOR_PROGRAMS
    assert len({form.path for form in FORMS}) == len(FORMS)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.path)
def test_fields_in_the_page_are_those_of_the_operation(form: Form) -> None:
    fields = set(operation_of(form.operation).given.model_fields)
    found = [
        set(re.findall(r'name="([^"]+)"', text))
        for page in TEMPLATES.glob("*.html")
        for text in re.findall(rf'<form[^>]* action="{form.path}".*?</form>', page.read_text(), re.DOTALL)
    ]
    assert found
    assert all(names - OURS <= fields for names in found)


@on_loop
async def test_each_form_does_its_operation_and_says_what_has_happened(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as officer:
        await officer.log_in("security-officer")
        await officer.get("/users")
        for path, fields, told in (
            ("/user/add", {"user": "carol", "password": "secret"}, "carol@example.test is added"),
            ("/user/disable", {"user": "carol", "sure": "yes"}, "carol@example.test is disabled"),
            ("/sign-crls", {}, "New CRLs are signed: "),
            ("/issue", {"server": MGMT}, f"{MGMT} has a certificate with the serial"),
            ("/block", {"name": "evil.test", "sure": "yes"}, "evil.test is blocked in version 2"),
            ("/rollback", {"version": "1", "base": "2", "why": "x", "force": "yes"}, "it has the content of version 1"),
        ):
            done = await officer.post(path, **fields)
            assert (done.status, told in done.text) == (200, True), done.text
        assert "tick the box" in (await officer.post("/user/remove", user="carol")).text
        plan = await network.ask(MGMT, "plan")
        form = {"why": "x", "base": str(plan["base"]), "digest": plan["digest"]}
        assert "is published." in (await officer.post("/publish", **form)).text
        serial = network.nodes[MGMT].certificates.presented.of(LinkKind.SERVER).chain[0].serial_number
        revoked = await officer.post("/revoke", serial=f"{serial:x}", reason="superseded", sure="yes")
        assert f"of {MGMT} is revoked (superseded)" in revoked.text
