"""The joining server checks a grant completely: its anchors, its topology, its certificate."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from sipmesh.errors import OperatorError
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.replication.join_grant import JoinGrant, JudgedGrant
from sipmesh.trust.x509.certificate import fingerprint
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2

NOW = datetime.now(UTC)
LISTS = ("ca/root.crl", "ca/issuing.crl")


def grant_of(managed: Managed, server: str = FE1) -> JoinGrant:
    """Return the grant of management for a server."""
    folder = managed.folder(MGMT)
    return JoinGrant(
        server=server,
        publication=managed.published(),
        anchors=tuple(x509.load_pem_x509_certificates(managed.organisation.root.read_bytes())),
        chain=tuple(x509.load_pem_x509_certificates(managed.credentials(server)[0].read_bytes())),
        lists={name: (folder / name).read_bytes() for name in LISTS},
        proof=tuple((folder / name).read_bytes() for name in LISTS),
    )


def judged(grant: JoinGrant, folder: Path, at: datetime = NOW) -> JudgedGrant:
    """Judge it, with every anchor of the grant confirmed."""
    return grant.judged({fingerprint(anchor) for anchor in grant.anchors}, folder, at)


@pytest.fixture(name="grant")
def _grant(managed: Managed) -> JoinGrant:
    return grant_of(managed)


def test_grant_is_read_as_it_was_written(grant: JoinGrant, tmp_path: Path) -> None:
    assert JoinGrant.read(grant.encode(), tmp_path) == grant


@pytest.mark.parametrize(
    "change",
    [
        lambda _: {},
        lambda _: [],
        lambda told: {**told, "server": "not a name"},
        lambda told: {**told, "certificate": "nothing"},
        lambda told: {**told, "anchors": 7},
        lambda told: {**told, "lists": {"x": "!"}},
        lambda told: {**told, "proof": ["!"]},
    ],
)
def test_file_that_is_no_grant_is_refused(grant: JoinGrant, tmp_path: Path, change: Callable[[Any], Any]) -> None:
    content = json.dumps(change(json.loads(grant.encode()))).encode()
    with pytest.raises(OperatorError, match="sipmesh join grant"):
        JoinGrant.read(content, tmp_path / "grant.json")


def test_valid_grant_is_accepted_and_stored(grant: JoinGrant, tmp_path: Path, managed: Managed) -> None:
    folder = tmp_path / "new"
    believed = judged(grant, folder)
    assert believed.number == 1
    folder.mkdir()
    loaded = believed.hold(folder, runs=False)
    assert believed.put_lists(folder, loaded, datetime.now(UTC)) == []
    believed.put_certificate(folder, loaded)
    assert loaded.number == 1
    assert all((folder / name).read_bytes() == grant.lists[name] for name in LISTS)
    assert (folder / "servers" / f"{FE1}.pem").read_bytes() == grant.pem


def test_root_that_was_not_confirmed_is_refused(grant: JoinGrant, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="a root that you have not confirmed"):
        grant.judged(set(), tmp_path, NOW)


def test_certificate_of_another_server_is_refused(managed: Managed, tmp_path: Path) -> None:
    wrong = replace(grant_of(managed), chain=grant_of(managed, FE2).chain)
    with pytest.raises(OperatorError, match="is rejected"):
        judged(wrong, tmp_path)


def test_server_that_the_topology_does_not_name_is_refused(managed: Managed, tmp_path: Path) -> None:
    with pytest.raises(OperatorError):
        judged(replace(grant_of(managed), server="fe9.example.test"), tmp_path)


def test_topology_without_a_signature_is_refused(grant: JoinGrant, managed: Managed, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="does not match its signature"):
        judged(replace(grant, publication=b"nothing"), tmp_path)
    with pytest.raises(OperatorError, match="the signer of the topology is rejected"):
        judged(replace(grant, publication=managed.signed(managed.payload(2), managed.credentials(EDGE))), tmp_path)


def test_certificate_that_was_revoked_or_has_expired_is_refused(
    grant: JoinGrant, managed: Managed, tmp_path: Path
) -> None:
    with pytest.raises(OperatorError):
        judged(grant, tmp_path, NOW + timedelta(days=400))
    managed.organisation.ca.revoke(grant.chain[0].serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
    with pytest.raises(OperatorError, match="revoked"):
        judged(grant_of(managed), tmp_path, datetime.now(UTC))


def test_grant_without_crls_is_refused(grant: JoinGrant, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="is rejected"):
        judged(replace(grant, lists={}, proof=()), tmp_path)
    with pytest.raises(OperatorError, match="is rejected"):
        judged(replace(grant, lists={}, proof=(b"nothing",)), tmp_path)


def test_server_with_an_equally_new_version_keeps_it(grant: JoinGrant, tmp_path: Path, managed: Managed) -> None:
    managed.join(FE1)
    store = managed.holding(FE1)
    jws = managed.version(5)
    store.keep(jws, store.newer(jws, store.load(), datetime.now(UTC)))
    for runs in (True, False):
        assert judged(grant, managed.folder(FE1)).hold(managed.folder(FE1), runs=runs).number == 5


def test_unusable_crl_is_left_out_with_a_reason(grant: JoinGrant, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    believed = judged(grant, folder)
    loaded = believed.hold(folder, runs=False)
    spoilt = replace(believed, grant=replace(grant, lists={LISTS[0]: b"nothing", "ca/unnamed.crl": b"x"}))
    [refused] = spoilt.put_lists(folder, loaded, datetime.now(UTC))
    assert LISTS[0] in str(refused)
    assert not (folder / LISTS[0]).exists()
