"""Certificates on this machine with their expiry, and what a running server reports of its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.certificates.expiring_files import (
    anchors_of,
    lists_of,
    on_disk,
    signers_on_disk,
    use_from_json,
    use_to_json,
)
from sipmesh.topology.expiry.fetch_status import FetchStatus
from sipmesh.topology.expiry.inventory import Use
from sipmesh.topology.expiry.validity import Chain, DatedItem
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ITEM = DatedItem("CN=fe1", "CN=Issuing", "badf00d", "ab" * 32, NOON, NOON + timedelta(days=30))


def test_certificate_of_each_server_on_this_machine_is_read(example: Organisation) -> None:
    found = on_disk(example.load())
    assert {server for server, _ in found} >= {FE1, FE2, EDGE}
    leaf = found[FE1, False].leaf
    assert leaf is not None
    assert FE1 in leaf.subject
    assert list(on_disk(example.load(), FE2)) == [(FE2, False)]


def test_server_whose_files_are_elsewhere_is_left_out(example: Organisation) -> None:
    example.papers(FE1)[0].unlink()
    assert (FE1, False) not in on_disk(example.load())


def test_file_that_cannot_be_read_is_a_fault(example: Organisation) -> None:
    example.papers(FE1)[0].write_bytes(b"nothing")
    found = on_disk(example.load())[FE1, False]
    assert (found.leaf, bool(found.fault)) == (None, True)


def test_signer_is_that_of_management(managed: Managed, example: Organisation) -> None:
    assert list(signers_on_disk(managed.organisation.load())) == [MGMT]
    assert signers_on_disk(example.load()) == {}


def test_anchors_and_lists_in_force_are_ours_and_the_partners(example: Organisation) -> None:
    loaded = example.load()
    assert len(anchors_of(loaded)) == 1
    assert len(lists_of(loaded)) == 2


def test_use_survives_json() -> None:
    use = Use(
        server=FE1,
        pid=7,
        shown={False: Chain("servers/fe1.pem", (ITEM,)), True: Chain("servers/out.pem", fault="gone")},
        anchors=(ITEM,),
        lists=(ITEM,),
        supplies=(FetchStatus("http://crl.test", "", ITEM, NOON, "refused", alarming=True),),
    )
    told = json.loads(json.dumps({"server": FE1, "pid": 7, **use_to_json(use)}))
    assert use_from_json(told) == use


@pytest.mark.parametrize("missing", ["server", "pid", "certificates", "anchors", "lists", "sources"])
def test_status_of_another_release_is_refused(missing: str) -> None:
    told = {"server": FE1, "pid": 7, "certificates": [], "anchors": [], "lists": [], "sources": []}
    del told[missing]
    with pytest.raises(KeyError):
        use_from_json(told)
