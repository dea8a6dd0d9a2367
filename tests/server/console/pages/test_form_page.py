"""The page of a form keeps what was typed, says what would change, and takes no value from another site."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge
from sipmesh.trust.x509.certificate import fingerprint
from support.console import Answer, Visitor, management_with_console
from support.network import POOL
from support.running import on_loop

PARTNER_FORM = {
    "domains": "partner.test",
    "anchors": "no <pem>",
    "fingerprints": "0" * 64,
    "crls": "http://crl.test/a.crl",
    "client_usage": "strict",
}


@pytest.fixture(name="pem", scope="module")
def _pem() -> str:
    """The root certificate of a partner."""
    return Forge(datetime.now(UTC)).root("Partner root").certificate.public_bytes(Encoding.PEM).decode()


def fields_with_faults(answer: Answer) -> dict[str, str]:
    """The text beside each field that is marked as wrong: assistive technology finds it by `aria-describedby`."""
    marked = re.findall(r'id="f-(\w+)"[^>]*aria-describedby="([^"]*)"[^>]*aria-invalid="true"', answer.text)
    texts = dict(re.findall(r'<p class="state bad" id="e-(\w+)">([^<]*)</p>', answer.text))
    assert {name for name, _ in marked} == set(texts)
    assert all(f"e-{name}" in described.split() for name, described in marked)
    return texts


def planned_in(page: Answer) -> str:
    """The digest of the plan that a page shows."""
    (digest,) = re.findall(r'name="planned" value="([0-9a-f]{64})" form="asked"', page.text)
    return str(digest)


async def planned_and_done(visitor: Visitor, path: str, **form: str) -> Answer:
    """Send a form for its plan, and again by the button of the plan."""
    planned = await visitor.post(path, do="plan", **form)
    return await visitor.post(path, do="change", planned=planned_in(planned), **form)


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
        done = await operator.post("/add/pool", do="change", planned=planned_in(planned), **form)
        assert (done.status, "The draft is changed" in done.text) == (200, True), done.text
        assert "fe92.example.test" in network.organisation.file.read_text()
        added = await planned_and_done(operator, "/add/server", pool="pool9", address="127.0.0.1")
        assert (added.status, "Nothing is in force until you apply the draft" in added.text) == (200, True), added.text
        assert 'href="/versions">Read what the draft leads to, and apply it</a>' in added.text
        assert 'href="/apply?' in (await operator.get("/versions")).text


@on_loop
async def test_application_that_screens_calls_is_added_with_what_happens_while_it_is_away(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as officer:
        await officer.log_in("security-officer")
        form = {"role": "application", "name": "screen", "servers": "screen 127.0.0.1", "screens": "bob@example.test"}
        assert '<option value="pass">' in (await officer.get("/add/pool")).text
        planned = await officer.post("/add/pool", do="plan", if_away="pass", **form)
        assert (planned.status, '<option value="pass" selected>' in planned.text) == (200, True), planned.text
        done = await planned_and_done(officer, "/add/pool", if_away="pass", **form)
        assert (done.status, "The draft is changed" in done.text) == (200, True), done.text
        assert "if_away: pass" in network.organisation.file.read_text()
        refuses = {**form, "name": "other", "servers": "other 127.0.0.2", "screens": "carol@example.test"}
        done = await planned_and_done(officer, "/add/pool", if_away="", **refuses)
        assert (done.status, network.organisation.file.read_text().count("if_away")) == (200, 1), done.text


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
        for path, status in (("/block?name=partner.test", 200), ("/user/disable?user=partner.test", 409)):
            ours, theirs = await officer.get(path), await officer.get(path, headers=led_here)
            assert (ours.status, theirs.status) == (200, status)
            assert ('value="partner.test"' in ours.text, "partner.test" in theirs.text) == (True, False)
        assert "evil" not in (await officer.get("/add/partner?domains=evil.test&fingerprints=evil")).text


@on_loop
async def test_form_whose_link_says_not_what_it_is_about_is_not_shown(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as officer:
        await officer.log_in("security-officer")
        without, whole = await officer.get("/rollback"), await officer.get("/rollback?version=1&base=1")
        told = "this form was opened without version and base; open it from /versions"
        assert (without.status, told in without.text, "Roll back to" in without.text) == (409, True, False)
        assert (whole.status, "Roll back to 1" in whole.text) == (200, True)


@on_loop
async def test_every_wrong_field_is_named_at_once_and_at_its_place(tmp_path: Path) -> None:
    """Empty fields, and values that the operation cannot read; what was typed stays."""
    async with management_with_console(tmp_path) as network, Visitor(network) as officer:
        await officer.log_in("security-officer")
        before = network.organisation.file.read_text()
        await officer.get("/add/partner")
        typed = {**PARTNER_FORM, "anchors": " ", "fingerprints": "12:34", "crls": "ftp://crl.test", "edge": "e" * 254}
        refused = await officer.post("/add/partner", do="plan", **typed)
        found = fields_with_faults(refused)
        assert (refused.status, "Correct these 4 fields." in refused.text) == (400, True), refused.text
        assert set(found) == {"anchors", "fingerprints", "crls", "edge"}
        assert found["anchors"] == "fill this in"
        assert "64 hexadecimal digits" in found["fingerprints"]
        assert 'href="#f-fingerprints"' in refused.text
        assert ('value="12:34"' in refused.text, "ftp://crl.test</textarea>" in refused.text) == (True, True)
        empty = await officer.post("/add/partner", do="plan")
        assert set(fields_with_faults(empty)) == {"domains", "anchors", "fingerprints", "crls"}
        assert network.organisation.file.read_text() == before


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/add/server", "name", "<script>alert(1)</script>"),
        ("/add/server", "name", "fe3\n  machine: evil"),
        ("/add/server", "address", "192.0.2.1}, {name: evil.test"),
        ("/add/server", "name", "f" * 50_000),
        ("/add/pool", "servers", "fe91 [a]\n{name: b}"),
        ("/add/pool", "servers", "fe91\n" * 65),
        ("/add/pool", "name", "pool9: &a [*a]"),
        ("/add/partner", "domains", "partner.test]\nblocked: ["),
        ("/add/partner", "anchors", "A" * 20_000),
        ("/add/partner", "crls", "http://crl.test/a.crl\n<b>"),
        ("/add/partner", "changes", "trunk={a: [b"),
        ("/add/partner", "changes", "edge=x\n" * 65),
        ("/add/partner", "fingerprints", "0" * 63 + "<"),
    ],
)
@on_loop
async def test_value_that_is_no_such_value_is_refused_at_its_field(
    tmp_path: Path, pem: str, path: str, name: str, value: str
) -> None:
    root = {"anchors": pem, "fingerprints": fingerprint(x509.load_pem_x509_certificate(pem.encode()))}
    async with management_with_console(tmp_path) as network, Visitor(network) as officer:
        await officer.log_in("security-officer")
        before = network.organisation.file.read_text()
        await officer.get(path)
        fields = {
            "/add/server": {"pool": POOL},
            "/add/pool": {"role": "front-end"},
            "/add/partner": {**PARTNER_FORM, **root},
        }[path]
        for button in ("plan", "change"):
            refused = await officer.post(path, do=button, **{**fields, name: value})
            assert refused.status in {400, 409}, refused.text
            assert name in fields_with_faults(refused), refused.text
            assert ("<script>alert" in refused.text, "<b>" in refused.text) == (False, False)
        assert network.organisation.file.read_text() == before


@on_loop
async def test_fault_says_what_to_write_in_words_of_the_form(tmp_path: Path) -> None:
    """A name of the topology, and a choice that the operator has to make; no fault names an option of the command."""
    async with management_with_console(tmp_path) as network, Visitor(network) as officer:
        await officer.log_in("security-officer")
        await officer.get("/add/partner")
        typed = {**PARTNER_FORM, "domains": "Other.test, 192.0.2.1", "crls": "file:///etc/passwd"}
        found = fields_with_faults(await officer.post("/add/partner", do="plan", **typed))
        assert "&#39;192.0.2.1&#39; is an IP address; write the full name" in found["domains"]
        assert "does not fit" not in found["crls"], found
        added = await planned_and_done(officer, "/add/pool", role="front-end", name="pool9", servers="fe91 127.0.0.1")
        assert added.status == 200, added.text
        for path, field in (("/add/server", "pool"), ("/add/pool", "next_hop")):
            found = fields_with_faults(await officer.post(path, do="plan", role="edge", name="x1"))
            assert ("choose one" in found[field], "--" in found[field]) == (True, False), found
        both = await officer.post("/add/server", do="plan", pool="pool9", name="-x", address="no address")
        assert set(fields_with_faults(both)) == {"name", "address"}, both.text


@on_loop
async def test_pool_of_the_draft_can_be_typed_and_those_in_force_are_offered(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as officer:
        await officer.log_in("security-officer")
        page = (await officer.get("/add/server")).text
        assert ('list="l-pool"' in page, f'<option value="{POOL}"></option>' in page) == (True, True)
        await planned_and_done(
            officer, "/add/pool", role="edge", name="sip9", next_hop="pool1", servers="edge91 127.0.0.1"
        )
        form = {"pool": "sip9", "address": "127.0.0.1", "machine": "host7"}
        added = await planned_and_done(officer, "/add/server", **form)
        assert (added.status, "machine: host7" in network.organisation.file.read_text()) == (200, True), added.text


@on_loop
async def test_only_the_plan_that_was_read_is_applied(tmp_path: Path) -> None:
    """Without a plan, with other values, after a change of the draft or a publication, the new plan is shown first."""
    async with management_with_console(tmp_path) as network, Visitor(network) as operator:
        await operator.log_in("operator")
        form = {"role": "front-end", "name": "pool9", "servers": "fe91 127.0.0.1"}
        first = await operator.get("/add/pool")
        assert 'value="change"' not in first.text
        page = await operator.post("/add/pool", do="change", **form)
        assert ("read this plan first" in page.text, 'value="change"' in page.text) == (True, True), page.text
        page = await operator.post("/add/pool", do="change", planned=planned_in(page), **{**form, "name": "pool8"})
        assert ("This is the new plan" in page.text, "pool8.example.test is added" in page.text) == (True, True)
        network.edit(lambda document: document.update(dane=True))
        page = await operator.post("/add/pool", do="change", planned=planned_in(page), **{**form, "name": "pool8"})
        assert "This is the new plan" in page.text, page.text
        await network.publish(lambda document: document.update(dane=True))
        page = await operator.post("/add/pool", do="change", planned=planned_in(page), **{**form, "name": "pool8"})
        assert "This is the new plan" in page.text, page.text
        draft = network.organisation.file.read_text()
        assert ("pool8" in draft, "pool9" in draft) == (False, False)
        stolen = await operator.ask("POST", "/add/pool", data={"do": "change", "planned": planned_in(page), **form})
        assert (stolen.status, network.organisation.file.read_text()) == (403, draft)
        done = await operator.post("/add/pool", do="change", planned=planned_in(page), **{**form, "name": "pool8"})
        assert (done.status, "The draft is changed" in done.text) == (200, True), done.text
        assert "pool8.example.test" in network.organisation.file.read_text()
