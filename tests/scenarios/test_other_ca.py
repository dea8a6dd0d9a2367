"""A network whose issuing CA goes below the CA of another organisation: servers follow, and phones know that root."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest

from scenarios.test_root import agent, be_quick, published, rewrite, shown, told
from sipmesh.errors import SipmeshError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.importing.bundle import read_bundle
from sipmesh.pki.importing.subordinate import import_ca, request_ca
from sipmesh.server.certificates import own_certificates
from sipmesh.topology.document.changes import add_root
from sipmesh.trust.evidence import LinkKind
from support.managed import MGMT, Managed
from support.network import EDGE, EXAMPLE, FE1, FE2, FE3, FE4
from support.other_ca import BELOW, POLICY, OtherCa, bundled
from support.running import on_loop

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.pki.authority import EnterpriseCa

CRLS = ("anchors/policy.crl", "anchors/corp.crl")


def below_corp(folder: Path, corp: Path) -> EnterpriseCa:
    """Make the next generation of the CA below a policy CA of Corp, with the CRLs of both."""
    generations = CaGenerations(folder / "ca")
    root = OtherCa(corp, "corp").made()
    policy = OtherCa(corp, "policy", POLICY, root).made()
    (folder / "anchors").mkdir(exist_ok=True)
    for above, crl in zip((policy, root), CRLS, strict=True):
        above.crl(folder / crl)
    (corp / "ours.csr").write_bytes(request_ca(generations))
    file = bundled(corp / "all.pem", policy.sign(corp / "ours.csr", corp / "ours.pem", BELOW), policy.pem, root.pem)
    names = (FE1, FE2, EXAMPLE)
    return import_ca(generations, read_bundle(file.read_bytes(), file, str), names, CRLS, datetime.now(UTC))


@pytest.mark.wide
@on_loop
async def test_servers_follow_a_ca_below_that_of_another_organisation(
    managed: Managed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_certificates, "LOOK_AGAIN_S", 0.5)
    (tmp_path / "corp").mkdir()
    organisation = managed.organisation
    old = CaGenerations(organisation.folder / "ca").current
    async with managed as network:
        await network.start(MGMT, FE1, FE2, FE3, FE4, EDGE)
        await network.acknowledged(1)
        be_quick(network)
        coming = below_corp(organisation.folder, tmp_path / "corp")
        rewrite(network, partial(add_root, anchor="ca/2/root.pem", crls=(*CRLS, "ca/2/issuing.crl")))
        await published(network, "a CA below that of Corp", 2)
        corp = (tmp_path / "corp" / "corp.pem").read_bytes()
        with pytest.raises(SipmeshError):  # FE1 still has a certificate of our own root
            await agent(network, "alice", FE1, corp)
        await network.ask(MGMT, "root", step="activate")
        await shown(network, coming.issuing.subject, old.root.subject)
        await told(network, "issuer", coming.issuing.subject)
        await network.ask(MGMT, "root", step="switch")
        await shown(network, coming.issuing.subject, coming.root.subject)
        chain = network.nodes[FE1].certificates.presented.of(LinkKind.SERVER).chain
        assert [one.subject.rfc4514_string().partition(",")[0] for one in chain[1:]] == [
            "CN=example.test Issuing CA 2",
            "CN=Corp policy",
        ]
        alice, bob = await agent(network, "alice", FE1, corp), await agent(network, "bob", FE2, corp)
        outcome = await alice.message(f"bob@{EXAMPLE}", "over two servers")
        assert outcome is not None
        assert outcome.ok
        await alice.close()
        await bob.close()
