"""Loading a topology, and all its problems in one error."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sipmesh.errors import OperatorError
from sipmesh.topology.document.load import load

if TYPE_CHECKING:
    from pathlib import Path

    from topology.world import Place


def test_a_good_topology_loads_with_its_authorities(place: Place) -> None:
    loaded = place.load()
    assert loaded.authority.name == "Example"
    assert [authority.name for authority in loaded.partners] == ["partner.test", "other.test"]
    assert loaded.faults == ()
    assert len(loaded.authority.lists) == 2


def test_digest_follows_the_content_of_the_document(place: Place) -> None:
    before = place.load().digest
    assert place.load().digest == before
    place.spoil(("# ours", "# still ours"))
    assert place.load().digest != before


def test_files_to_watch_are_the_document_its_anchors_and_crls(place: Place, tmp_path: Path) -> None:
    names = {str(file.relative_to(tmp_path)) for file in place.load().files}
    assert names == {"topology.yaml"} | {
        f"{ca}/{file}" for ca in ("ca", "partners/b", "partners/c") for file in AUTHORITY_FILES
    }


AUTHORITY_FILES = ("root.pem", "root.crl", "issuing.crl")


def test_relative_stores_are_in_the_folder_of_the_document(place: Place, tmp_path: Path) -> None:
    loaded = place.load()
    assert loaded.users_url == f"sqlite:///{tmp_path}/users.db"


def test_another_database_is_taken_as_it_is_written(place: Place) -> None:
    place.spoil(("federation:\n", "storage: {users: 'postgresql+psycopg:///sipmesh'}\nfederation:\n"))
    assert place.load().users_url == "postgresql+psycopg:///sipmesh"


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(OperatorError) as refused:
        load(tmp_path / "none.yaml")
    assert "No such file" in refused.value.problems[0].reason
    assert "sipmesh init" in refused.value.problems[0].remedy


def test_all_problems_are_reported_in_the_order_of_lines(place: Place) -> None:
    """Shape, agreement and files: correcting one problem must not reveal the next."""
    place.spoil(
        ("organisation: Example", "organisation: [Example]"),
        ("[example.test]  # ours", "[example.test, short]  # ours"),
        ("    next_hop: pool1.example.test\n  - name: bot", "    next_hopp: pool1.example.test\n  - name: bot"),
        ("servers: [fe3.example.test]", "servers: [fe1.example.test]"),
        ("partners/b/root.pem", "partners/b/gone.pem"),
        ("blocked: [evil.test]", "blocked: [partner.test]"),
    )
    told = [(problem.line, problem.field) for problem in place.problems()]
    assert told == [
        (place.line("organisation"), "organisation"),
        (place.line("# ours"), "sip_domains[1]"),
        (place.line("servers: [fe1"), "pools[1].servers[0]"),
        (place.line("name: sip.example.test"), "pools[2]"),
        (place.line("next_hopp"), "pools[2].next_hopp"),
        (place.line("gone.pem"), "federation.partners[0].anchors[0]"),
        (place.line("blocked"), "federation.blocked[0]"),
    ]


def test_every_problem_has_file_reason_and_remedy(place: Place) -> None:
    place.spoil(("role: edge", "role: edgy"), ("[evil.test]", "[evil]"))
    for problem in place.problems():
        assert problem.file == place.file
        assert problem.line
        assert problem.reason
        assert problem.remedy


def test_an_unusable_crl_lets_servers_run_but_fails_the_check(place: Place, tmp_path: Path) -> None:
    """The judge refuses with revocation-unknown; only the operator's check calls it a problem."""
    (tmp_path / "partners" / "b" / "issuing.crl").unlink()
    loaded = place.load()
    assert [fault.field for fault in loaded.faults] == ["federation.partners[0].crls[1]"]
    assert len(loaded.partners[0].lists) == 1
    assert "partners/b/issuing.crl" in loaded.partners[0].lists.faults[0]
    with pytest.raises(OperatorError, match=r"partners/b/issuing\.crl"):
        place.check()


def test_valid_topology_has_no_warnings(place: Place) -> None:
    loaded, warnings = place.check()
    assert loaded.faults == ()
    assert warnings == ()


@pytest.mark.parametrize(("late", "stale"), [(timedelta(days=7), 0), (timedelta(days=7, seconds=1), 3)])
def test_an_expired_crl_is_a_warning(place: Place, noon: datetime, late: timedelta, stale: int) -> None:
    """All three authorities' issuing lists live seven days; the last good instant is next_update itself."""
    _, warnings = place.check(noon + late)
    assert len(warnings) == stale
    assert all("expired" in warning.reason and "crls[1]" in warning.field for warning in warnings)


def test_an_anchor_out_of_its_validity_is_a_warning(place: Place, noon: datetime) -> None:
    _, warnings = place.check(noon + timedelta(days=3653))
    assert sum("is not valid at" in warning.reason for warning in warnings) == 3


def test_crl_faults_are_reported_with_other_problems(place: Place, tmp_path: Path) -> None:
    (tmp_path / "ca" / "root.crl").unlink()
    place.spoil(("role: edge", "role: edgy"))
    assert {problem.field for problem in place.problems()} == {"authority.crls[0]", "authority.crls", "pools[2].role"}


def test_loaded_shows_itself_briefly(place: Place) -> None:
    assert repr(place.load()).endswith("4 pools, 0 faults>")
