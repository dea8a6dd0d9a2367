"""A thief of an old key says a time at which its expired certificate was valid: it is refused, and no right clock is blamed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attacks.test_reports import is_well, signs_again
from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.organisation import Organisation
from sipmesh.server.replication.link_fault import Cause
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from support.forged_time import LIBRARY, forged_time
from support.managed import MGMT, Managed, build_published
from support.network import FE1, FE2
from support.running import on_loop, until

DIALS = 3
"""Two handshakes that agree show a clock; one more, so that the second one has been told."""

CLOCKS = {"valid": "-2h", "before": "-9d", "ahead": "+2h"}
"""At the first of these times the certificate was valid."""

needs_faketime = pytest.mark.skipif(not LIBRARY.exists(), reason="needs faketime, which tools/peers installs")


@pytest.fixture(name="managed", scope="module")
def _managed(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    return build_published(tmp_path_factory.mktemp("t") / "o")


def expired(organisation: Organisation, folder: Path) -> tuple[Path, Path]:
    """Write a certificate of our CA for FE2 that was valid for two hours, until an hour ago."""
    ca, hour = organisation.folder / "ca", timedelta(hours=1)
    issuer = Forged.read(ca / "issuing.pem", ca / "issuing.key", Forged.read(ca / "root.pem", ca / "root.key"))
    return Forge(datetime.now(UTC)).server(issuer, FE2, begins=-3 * hour, ends=-hour).write(folder, "old")


@needs_faketime
@pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS)
@on_loop
async def test_expired_certificate_proves_no_time(managed: Organisation, tmp_path: Path, clock: str) -> None:
    """Status names the certificate, and management signs CRLs. FE2 itself gets its link as soon as it answers there."""
    async with Managed(managed, tmp_path) as network:
        await network.start(MGMT, FE1)
        await network.acknowledged(1, FE1)
        links = network.master._links
        with forged_time(expired(managed, tmp_path), managed.address(FE2, LinkKind.SERVER), clock):
            await until(lambda: (fault := links.fault_of(FE2)) is not None and fault.code == Code.EXPIRED)
            met = links._links[FE2].dials
            await until(lambda: links._links[FE2].failed >= met + DIALS)
            told = (await network.network())[FE2]
            assert (told["linked"], [fault["code"] for fault in told["faults"]]) == (False, [Code.EXPIRED])
            printed = " ".join((await network.type("status", code=1)).split())
            assert "its clock is" not in printed
            assert f"set the clock of {FE2}" not in printed
            assert f"if the clock of {MGMT} is right, issue its certificate again: sipmesh ca issue {FE2}" in printed
            assert Cause.CLOCK not in {code for _, code in network.master.network.status(network.master.newest).faulty}
            assert network.master.clocks_s == network.master.reports.clocks_s()
            assert await signs_again(network)
        await network.start(FE2)
        await network.acknowledged(1, FE1, FE2)
        await is_well(network, FE2)
