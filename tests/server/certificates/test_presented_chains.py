"""The TLSA data of a port names the CA whose certificates are presented there. No network."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.certificates.presented_chains import tlsa_data
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.topology.builder.tlsa import tlsa_of_ca
from support.managed import servers_of
from support.network import FE1, PARTNER_FE, POOL


def no_ca() -> CaGenerations:
    raise OperatorError("there is no CA here")


def with_dane(organisation: Organisation, **further: object) -> CaGenerations:
    organisation.document.update(dane=True)
    servers_of(organisation.document, POOL)[0].update(further)
    organisation.write()
    return CaGenerations(organisation.folder / CA)


def test_topology_without_dane_needs_no_ca(example: Organisation) -> None:
    assert tlsa_data(example.load(), no_ca) == {}


def test_each_port_has_the_record_of_our_issuing_ca(example: Organisation) -> None:
    ours = with_dane(example)
    data = tlsa_data(example.load(), lambda: ours)
    assert FE1 in {host for host, _ in data}
    assert all(records == [tlsa_of_ca(ours.current.issuing)] for records in data.values())
    with pytest.raises(OperatorError, match="there is no CA here"):
        tlsa_data(example.load(), no_ca)


def test_client_certificate_of_another_ca_adds_the_record_of_that_ca(
    example: Organisation, partner_model: Organisation
) -> None:
    chain, key = partner_model.credentials(PARTNER_FE)
    ours = with_dane(example, client_certificates=[{"certificate": str(chain), "key": str(key)}])
    theirs = tlsa_of_ca(CaGenerations(partner_model.folder / CA).current.issuing)
    data = tlsa_data(example.load(), lambda: ours)
    assert any(records == [tlsa_of_ca(ours.current.issuing), theirs] for records in data.values())


def test_missing_certificate_of_another_ca_is_an_error(example: Organisation, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    ours = with_dane(example, client_certificates=[{"certificate": missing, "key": missing}])
    with pytest.raises(OperatorError, match=r"missing\.pem cannot be read"):
        tlsa_data(example.load(), lambda: ours)
