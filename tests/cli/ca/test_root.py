"""`sipmesh ca root`: each step says what it has done and what comes next, and what is out of order is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.world import Result, sipmesh
from sipmesh.demo.organisation import Organisation
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.management.replies import RootStep
from support.managed import MGMT, Managed
from support.network import EDGES
from support.prepared import answered

NEW_ROOT = "CN=example.test root 2"


@pytest.fixture(name="ours")
def _ours(managed: Managed) -> Organisation:
    return managed.organisation


def root(organisation: Organisation, *arguments: str | Path, typed: str = "") -> Result:
    """Run a step; it must succeed."""
    done = sipmesh("ca", "root", *arguments, typed=typed, topology=organisation.file)
    assert done.code == 0, done.err
    return done


def refused(organisation: Organisation, *arguments: str | Path) -> str:
    """Run a step that must be refused; gives the error."""
    left = sipmesh("ca", "root", *arguments, topology=organisation.file)
    assert left.code == 1
    return left.err


def generations(organisation: Organisation) -> CaGenerations:
    return CaGenerations(organisation.folder / "ca")


def test_status_follows_each_generation_to_its_end(ours: Organisation) -> None:
    """With what to do next."""
    stages = []

    def look() -> None:
        told = root(ours, "status", "--json").json
        stages.append(([one["state"] for one in told["generations"]], told["next"].partition(".")[0], told["crossed"]))

    look()
    generations(ours).prepare(datetime.now(UTC))
    look()
    generations(ours).activate()
    look()
    generations(ours).switch()
    look()
    generations(ours).retire(1)
    look()
    assert stages == [
        (["issues"], "No root rotation is in progress", False),
        (["issues", "prepared"], "Publish the draft, which names the new root", False),
        (["trusted, does not issue", "issues"], "Give the new root certificate to phones and partners", True),
        (["trusted, does not issue", "issues"], "Remove the old root: sipmesh ca root retire", False),
        (["retired", "issues"], "No root rotation is in progress", False),
    ]
    assert "retired" in root(ours, "status").out


def test_prepared_root_is_in_the_draft_beside_the_present_one(ours: Organisation) -> None:
    told = root(ours, "prepare").out
    assert f"is prepared, in {ours.folder / 'ca' / '2'}" in told
    assert "sipmesh ca root activate" in told
    assert "to partners now" not in told, "there is no partner"
    named = ours.load().topology.authority
    assert named.anchors == ("ca/root.pem", "ca/2/root.pem")
    assert named.crls[2:] == ("ca/2/root.crl", "ca/2/issuing.crl")
    assert "prepared" in refused(ours, "prepare")


def test_partners_need_the_next_crl_before_the_new_ca_issues(ours: Organisation, partner_model: Organisation) -> None:
    ours.federate(EDGES, [partner_model.as_partner()])
    ours.write()
    assert f"Give {ours.folder / 'ca' / '2' / 'issuing.crl'} to partners now" in root(ours, "prepare").out


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("activate", ["Generation 2 issues from now on", "Then: sipmesh ca root switch"]),
        ("switch", [f"the chains of all servers lead to {NEW_ROOT} only", "Then: sipmesh ca root retire"]),
    ],
)
def test_step_is_taken_by_management(ours: Organisation, step: str, told: list[str]) -> None:
    with answered(ours.folder / "state", {MGMT: {"root": RootStep(2, NEW_ROOT)}}) as asked:
        printed = root(ours, step, *(["--yes"] if step == "switch" else [])).out
    assert [one["step"] for one in asked if one["command"] == "root"] == [step]
    assert all(line in printed for line in told)
    assert "no management server runs" in refused(ours, step, *(["--yes"] if step == "switch" else []))


def test_switch_asks_and_does_nothing_without_an_answer(ours: Organisation) -> None:
    """The control with --yes is above."""
    with answered(ours.folder / "state", {MGMT: {"root": RootStep(2, NEW_ROOT)}}) as asked:
        left = sipmesh("ca", "root", "switch", typed="n\n", topology=ours.file)
    assert left.code == 1
    assert "do not have the new root refuse all servers" in left.out
    assert "There are no partners." in left.out
    assert [one for one in asked if one["command"] == "root"] == []


def test_retired_root_leaves_the_draft_first_and_then_the_ca(ours: Organisation) -> None:
    root(ours, "prepare")
    assert "there is no root to retire" in refused(ours, "retire")
    generations(ours).activate()
    assert "there is no root to retire" in refused(ours, "retire")
    generations(ours).switch()
    assert "no longer names ca/root.pem" in root(ours, "retire").out
    assert ours.load().topology.authority.anchors == ("ca/2/root.pem",)
    with answered(ours.folder / "state", {MGMT: {"root": RootStep(2, NEW_ROOT, (1,))}}):
        assert root(ours, "retire").out == "Retired: generation 1.\n"


def test_root_key_is_moved_and_overwrites_nothing(ours: Organisation, tmp_path: Path) -> None:
    safe = tmp_path / "safe"
    safe.mkdir()
    (safe / "root.key").touch()
    assert "is there already; name another folder" in refused(ours, "detach", safe)
    assert (ours.folder / "ca" / "root.key").exists()
    (safe / "root.key").unlink()
    root(ours, "detach", safe)
    assert not (ours.folder / "ca" / "root.key").exists()
    assert (ours.folder / "ca" / "root.detached.json").exists()
    assert (safe / "root.key").stat().st_mode & 0o777 == 0o600
    assert (safe / "root.pem").read_bytes() == ours.root.read_bytes()
    assert "is not on this machine" in refused(ours, "detach", tmp_path / "other")


@pytest.fixture(name="safe")
def _safe(ours: Organisation, tmp_path: Path) -> tuple[str | Path, ...]:
    """The options that name the detached root of our organisation."""
    root(ours, "detach", tmp_path / "safe")
    return "--key", tmp_path / "safe" / "root.key", "--root", tmp_path / "safe" / "root.pem"


def test_detached_root_signs_the_crl_that_is_carried_to_it(
    ours: Organisation, safe: tuple[str | Path, ...], tmp_path: Path
) -> None:
    request = tmp_path / "request.json"
    before = (ours.folder / "ca" / "root.crl").read_bytes()
    assert f"sipmesh ca root sign {request.name}" in root(ours, "request", "list", request).out
    left = sipmesh("ca", "root", "sign", request, *safe, typed="n\n")
    assert (left.code, request.with_name("request.json.signed").exists()) == (1, False)
    assert "To be signed:" in root(ours, "sign", request, *safe, typed="y\n").out
    told = root(ours, "take", tmp_path / "request.json.signed").out
    assert f"{ours.folder / 'ca' / 'root.crl'} is in place." in told
    assert "No server runs here." in told
    assert (ours.folder / "ca" / "root.crl").read_bytes() != before


def test_detached_root_vouches_for_the_next_ca(
    ours: Organisation, safe: tuple[str | Path, ...], tmp_path: Path
) -> None:
    request = tmp_path / "request.json"
    assert "no next root is prepared" in refused(ours, "request", "cross", request)
    assert "sipmesh ca root request cross" in root(ours, "prepare").out
    root(ours, "request", "cross", request)
    root(ours, "sign", request, *safe, "--yes")
    told = root(ours, "take", tmp_path / "request.json.signed").out
    assert "sipmesh ca root activate" in told
    assert generations(ours).is_vouched_for


def test_root_certificate_that_cannot_be_read_signs_nothing(
    ours: Organisation, safe: tuple[str | Path, ...], tmp_path: Path
) -> None:
    request = tmp_path / "request.json"
    root(ours, "request", "list", request)
    assert "name the root's certificate with --root" in refused(ours, "sign", request, *safe[:2], "--root", request)


@pytest.mark.parametrize("step", ["sign", "take"])
def test_request_that_is_not_there_is_said_with_what_to_name(ours: Organisation, tmp_path: Path, step: str) -> None:
    assert "name the file that" in refused(ours, step, tmp_path / "none")
