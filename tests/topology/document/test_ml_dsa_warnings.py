"""`topology check` tells which peers a CA with ML-DSA-44 breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.demo.forge import Forge, KeyKind
from topology.world import NOON

if TYPE_CHECKING:
    from topology.world import Place


def told(place: Place) -> list[str]:
    _, warnings = place.check()
    return [one.field for one in warnings if "ML-DSA-44" in one.reason]


def rely_on_ml_dsa(place: Place) -> None:
    """Let the CA of the organisation have a root of ML-DSA-44, with its CRL."""
    forge, folder = Forge(NOON), place.file.parent / "ca"
    root = forge.root("pq root", key=KeyKind.ML_DSA_44)
    (folder / "root.pem").write_bytes(root.pem_chain)
    (folder / "root.crl").write_bytes(forge.revocations(root))
    place.spoil(("crls: [ca/root.crl, ca/issuing.crl]", "crls: [ca/root.crl]"))


def test_phones_applications_and_partners_are_warned_of_and_nothing_is_without_such_an_anchor(place: Place) -> None:
    assert told(place) == []
    rely_on_ml_dsa(place)
    loaded, _ = place.check()
    roles = [f"pools[{n}]" for n, pool in enumerate(loaded.topology.pools) if pool.role == "application"]
    phones = [f"pools[{n}].servers" for n, pool in enumerate(loaded.topology.pools) if pool.role == "front-end"]
    partners = [f"federation.partners[{n}]" for n in range(len(loaded.topology.federation.partners))]
    assert sorted(told(place)) == sorted(roles + phones + partners)


def test_servers_with_other_certificates_for_phones_are_not_warned_of(place: Place) -> None:
    rely_on_ml_dsa(place)
    before = told(place)
    certificate = "{name: fe3.example.test, client_certificates: [{certificate: servers/c.pem, key: servers/c.key}]}"
    place.spoil(("servers: [fe3.example.test]", f"servers: [{certificate}]"))
    assert [field for field in before if field not in told(place)] == ["pools[1].servers"]
