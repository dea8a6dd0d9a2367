"""A stranger's certificate of thousands of names costs a server no more than another one, and takes none of its memory."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge
from sipmesh.pki import files
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.x509.chain_bounds import CHAIN_NAMES
from support.network import EDGE, Network
from support.peer import HungUpError, Peer
from support.running import on_loop, until

FORGE = Forge(datetime.now(UTC))


def stranger(folder: Path, number: int, names: int) -> tuple[Path, Path]:
    """Write a certificate of an unknown CA, and its key; gives the files."""
    shown = FORGE.server(FORGE.root(f"root {number}"), "a.test", dns=tuple(f"a{one}.test" for one in range(names)))
    chain, key = folder / f"{number}.pem", folder / f"{number}.key"
    chain.write_bytes(shown.certificate.public_bytes(Encoding.PEM))
    key.write_bytes(files.key_pem(shown.key))
    return chain, key


@pytest.mark.parametrize(("names", "is_seen"), [(CHAIN_NAMES, False), (CHAIN_NAMES // 2, True)])
@on_loop
async def test_names_of_a_stranger_are_not_looked_at_if_they_are_too_many(
    federation: Network,
    tmp_path: Path,
    names: int,
    is_seen: bool,  # noqa: FBT001
) -> None:
    """14,000 names in 64 KB took 50 ms of the loop for each handshake; a stranger with one name takes 1.3 ms."""
    async with federation:
        told = federation.told[EDGE]
        address = federation.address(EDGE, LinkKind.PARTNER)
        shown = stranger(tmp_path, 1, names)
        with pytest.raises(HungUpError):
            async with await Peer.open(address, credentials=shown) as peer:
                await peer.receive()
        await until(lambda: told.events("link refused"))
        [verdict] = federation.nodes[EDGE].gatekeeper.refused()
        assert verdict.code is Code.UNTRUSTED_ISSUER
        assert (verdict.seen is not None) is is_seen
        assert any("names, more than" in finding.saw for finding in verdict.findings) is not is_seen
