"""A real domain controller hides from management whether an account counts, as domains do that hide Account Restrictions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.server.directory.directory_reader import read_directory
from support.directory_ca import HOST, DirectoryCa
from support.managed import build_published
from support.openldap import write_password
from support.samba_ad import PASSWORD, PEOPLE, SambaAd

pytestmark = [pytest.mark.wide, pytest.mark.peer("samba"), pytest.mark.peer("openldap")]

ACCOUNT_RESTRICTIONS = "4c164200-20c0-11d0-a768-00aa006e0529"
"""The property set with userAccountControl and accountExpires (MS-ADTS 3.1.1.2.3.3)."""


def test_account_of_which_nothing_says_whether_it_counts_is_no_user(tmp_path: Path) -> None:
    """A disabled account would seem enabled, and a sync would let the user in again. The account of another is read."""
    ca = DirectoryCa()
    with SambaAd(tmp_path / "dc1", ca.server(HOST)) as samba:
        for name in ("carol", "dave"):
            samba.person(name)
        samba.tool("user", "disable", "carol")
        organisation = build_published(tmp_path / "o")
        write_password(organisation.folder, PASSWORD)
        organisation.document["directory"] = samba.keys(**ca.write(organisation.folder))
        organisation.write()
        loaded = organisation.load()

        def users() -> dict[str, str]:
            answer, _ = read_directory(loaded, datetime.now(UTC))
            shown = {one.aor.partition("@")[0]: str(one.ended_by) for one in answer.entries}
            return shown | {one.dn.partition(",")[0]: one.reason for one in answer.unusable.values()}

        assert users() == {"sip:carol": "disabled", "sip:dave": ""}
        samba.hide(f"CN=carol,{PEOPLE}", ACCOUNT_RESTRICTIONS)
        found = users()
        assert (found.pop("sip:dave"), set(found)) == ("", {"CN=carol"})
        assert "userAccountControl is hidden" in found["CN=carol"]
