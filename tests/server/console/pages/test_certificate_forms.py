"""The forms about certificates: revoke one, and issue another."""

from __future__ import annotations

from pathlib import Path

from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.management.revoking import is_listed
from sipmesh.trust.evidence import LinkKind
from support.console import Visitor, management_with_console
from support.managed import MGMT
from support.running import on_loop


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
