"""Where a command finds the topology, the CA and the users of an organisation."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.cli.place import Place
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.replication.document_store import DocumentStore
from support.managed import Managed
from support.network import EXAMPLE, FE1, FE2, POOL


def test_files_are_beside_the_topology(tmp_path: Path) -> None:
    place = Place(tmp_path / "o" / "topology.yaml")
    assert (place.folder, place.state) == (tmp_path / "o", tmp_path / "o" / "state")


def test_without_a_published_version_the_file_is_in_force(example: Organisation) -> None:
    place = Place(example.file)
    for loaded in (place.load(), place.in_force(), place.found()):
        assert loaded is not None
        assert (loaded.number, loaded.topology.organisation) == (0, EXAMPLE)
    assert place.view(FE1).pool.name == POOL


def test_published_version_is_in_force_and_the_draft_is_not(managed: Managed) -> None:
    managed.edit(lambda document: document.update(organisation="changed"))
    place = Place(managed.organisation.file)
    assert (place.in_force().number, place.in_force().topology.organisation) == (1, EXAMPLE)
    assert place.load().topology.organisation == "changed"


def test_machine_that_has_joined_uses_the_version_of_its_server(managed: Managed) -> None:
    managed.join(FE1)
    place = Place(managed.folder(FE1) / "topology.yaml")
    assert not place.file.exists()
    found = place.found()
    assert found is not None
    assert place.load().number == place.in_force().number == found.number == 1


def test_of_several_servers_of_a_machine_the_newest_version_counts(managed: Managed) -> None:
    managed.join(FE1)
    anchors = x509.load_pem_x509_certificates(managed.organisation.root.read_bytes())
    DocumentStore(managed.folder(FE1), FE2).begin(managed.version(2), anchors)
    assert Place(managed.folder(FE1) / "topology.yaml").load().number == 2


@pytest.mark.parametrize("server", ["fe9.example.test", EXAMPLE])
def test_view_of_an_unknown_server_is_refused(example: Organisation, server: str) -> None:
    with pytest.raises(OperatorError, match=server):
        Place(example.file).view(server)


def test_missing_topology_is_found_as_none_and_loaded_as_an_error(tmp_path: Path) -> None:
    place = Place(tmp_path / "topology.yaml")
    assert place.found() is None
    with pytest.raises(OperatorError):
        place.load()


def test_ca_is_opened_only_where_it_is(example: Organisation, tmp_path: Path) -> None:
    assert Place(example.file).ca().folder == example.folder / "ca"
    with pytest.raises(OperatorError) as left:
        Place(tmp_path / "topology.yaml").generations()
    assert [(one.file, one.reason) for one in left.value.problems] == [(tmp_path / "ca", "contains no CA")]


def test_users_are_read_only_on_the_machine_of_the_database(example: Organisation, managed: Managed) -> None:
    managed.join(FE1)
    for file, names in ((example.file, 3), (managed.organisation.file, 2)):
        with Place(file).users() as users:
            assert len(users.list()) == names
    elsewhere = Place(managed.folder(FE1) / "topology.yaml")
    with pytest.raises(OperatorError, match="on the management server"), elsewhere.users():
        pass
