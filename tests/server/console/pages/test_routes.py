"""The pages of the console over HTTPS: what each shows, and what a viewer and a stranger may not do."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from yarl import URL

from sipmesh.demo.ports import HOST
from sipmesh.server.console.access.guard import HEADERS
from support.approving import Approver, approve, rule
from support.console import Visitor, management_with_console
from support.managed import MGMT
from support.network import FE1
from support.running import on_loop

PAGES = (
    "/",
    "/map",
    "/status",
    f"/servers/{MGMT}",
    "/versions",
    "/versions/1",
    "/certificates",
    "/certificates/enrolment",
    "/certificates/issued",
    "/certificates/issued?q=mgmt",
    "/users",
    "/users/alice@example.test",
    "/registrations",
    "/directory",
    "/partners",
    "/refused",
    "/verdicts",
    "/search?q=alice",
    "/audit",
    "/audit/check",
)


@on_loop
async def test_every_page_is_shown_to_a_viewer_and_to_no_stranger(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer, Visitor(network) as stranger:
        await viewer.log_in("viewer")
        for path in PAGES:
            shown = await viewer.get(path)
            assert shown.status == 200, (path, shown.text)
            assert HEADERS.items() <= shown.headers.items()
            refused = await stranger.get(path)
            assert (refused.status, refused.headers["Location"]) == (303, "/login")
            assert HEADERS.items() <= refused.headers.items()
        assert "alice@example.test" in (await viewer.get("/users")).text
        assert FE1 in (await viewer.get("/map")).text
        assert "The chain of hashes is intact" in (await viewer.get("/audit/check")).text


@on_loop
async def test_operator_publishes_blocks_and_rolls_back_and_a_viewer_sees_no_form_for_it(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as operator, Visitor(network) as viewer:
        await operator.log_in("operator")
        await viewer.log_in("viewer")
        network.edit(
            lambda document: (
                document["presence"].update(partners="polite-block")
                if "presence" in document
                else document.update(presence={"partners": "polite-block"})
            )
        )
        assert 'href="/publish' not in (await viewer.get("/versions")).text
        link = re.search(r'href="(/publish[^"]+)"', (await operator.get("/versions")).text)
        assert link is not None
        shown = (await operator.get(unescape(link[1]))).text
        base, digest = (re.search(rf'name="{name}" value="([^"]+)"', shown) for name in ("base", "digest"))
        assert base is not None
        assert digest is not None
        form = {"why": "partners see less", "base": base[1], "digest": digest[1]}
        await viewer.get("/status")
        assert (await viewer.post("/publish", **form)).status == 403
        assert "Version 2 is published" in (await operator.post("/publish", **form)).text
        assert (await operator.post("/block", name="evil.test")).status == 409
        assert "evil.test is blocked in version 3" in (await operator.post("/block", name="evil.test", sure="yes")).text
        assert (await operator.post("/revoke", serial="1", sure="yes")).status == 403
        unblock = await operator.post("/rollback", version="2", base="3", why="not evil")
        assert "evil.test is no longer blocked" in unblock.text
        assert (unblock.status, network.number(MGMT)) == (409, 3)
        await operator.log_in("security-officer")
        back = await operator.post("/rollback", version="2", base="3", why="not evil")
        assert "Version 4 is published: it has the content of version 2" in back.text
        assert (await operator.post("/rollback", version="x", base="4")).status == 400
        assert network.number(MGMT) == 4
        assert "root (0) (console)" in (await viewer.get("/audit")).text


@on_loop
async def test_text_of_others_is_shown_as_text(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await network.publish(why="<script>alert(1)</script>", force=True)
        await viewer.log_in("viewer")
        shown = (await viewer.get("/versions")).text
        assert "&lt;script&gt;alert(1)" in shown
        assert "<script>alert" not in shown


@on_loop
async def test_page_of_what_is_not_there_says_so(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        assert "not a server of the topology" in (await viewer.get("/servers/evil.test")).text
        assert (await viewer.get("/versions/99")).status == 409
        assert (await viewer.get("/links/none")).status == 409
        for escape in (
            "../pages.py",
            "%2e%2e/guard.py",
            "..%2fapi.py",
            "%2e%2e%2f%2e%2e%2fservice.py",
            "/etc/passwd",
            "%00",
        ):
            path = URL(f"https://{HOST}:{viewer.port}/static/{escape}", encoded=True)
            assert (await viewer.get(path)).status in {400, 403, 404}, escape
        assert (await viewer.get("/static/console.css")).status == 200


@on_loop
async def test_draft_with_a_problem_is_reported_and_the_map_is_still_shown(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        network.organisation.file.write_text("sipmesh: 1\nnonsense: yes\n")
        assert "The draft cannot be shown" in (await viewer.get("/map")).text
        assert "Mend topology.yaml" in (await viewer.get("/")).text
        assert "nonsense" in (await viewer.get("/versions")).text


@on_loop
async def test_draft_that_operators_must_approve_is_shown_with_who_has(tmp_path: Path) -> None:
    ada, ben = Approver("ada"), Approver("ben")
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        network.edit(lambda document: document.update(approvals=rule(ada, ben)))
        approve(network, 1, ada)
        need = "by the new version, 2 of ada, ben must approve; {} of 2 {} approved: {}"
        missing = f'<li class="bad">{need.format(1, "has", "ada")}</li>'
        assert missing in (await viewer.get("/versions")).text
        approve(network, 1, ben)
        assert f"<li>{need.format(2, 'have', 'ada, ben')}</li>" in (await viewer.get("/versions")).text
