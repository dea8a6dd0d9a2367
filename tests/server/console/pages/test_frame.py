"""What all pages have in common: a form of another site or of another session is refused."""

from __future__ import annotations

from pathlib import Path

from support.console import Visitor, management_with_console
from support.running import on_loop


@on_loop
async def test_form_counts_only_with_the_token_of_its_own_session(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as officer, Visitor(network) as other:
        await officer.log_in("security-officer")
        await other.log_in("security-officer")
        for token in ("", other.form_token, "x" * 5000):
            refused = await officer.ask("POST", "/user/enable", data={"form_token": token, "user": "alice"})
            assert (refused.status, "not from a page of this session" in refused.text) == (403, True)
        assert (await officer.post("/user/disable", user="alice", sure="yes")).status == 200


@on_loop
async def test_error_of_an_operation_is_a_page_with_the_way_back(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        wrong = await viewer.get("/users/nobody@example.test")
        assert (wrong.status, "Nothing was changed" in wrong.text) == (409, True)
        assert (await viewer.get("/versions/0")).status == 400
        assert (await viewer.post("/sign-crls")).status == 403
