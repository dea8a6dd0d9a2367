"""What is left to do after `sipmesh init`, in order."""

from __future__ import annotations

from pathlib import Path

from cli.world import sipmesh
from sipmesh.cli.organisation.first_steps import findings_of, servers_of, steps
from sipmesh.cli.organisation.layout import Layout
from sipmesh.cli.place import Place
from sipmesh.cli.typed_commands import PACKAGE, TypedCommands
from sipmesh.topology.document.load import load

HERE, THERE = "192.0.2.10", "192.0.2.11"
LAYOUT = Layout("example.com", HERE, (HERE, THERE), (), "ada")


def made(folder: Path) -> Path:
    """An organisation of two hosts."""
    done = sipmesh(
        "init", "example.com", "--dir", folder, "--management", HERE, "--front-end", HERE, "--front-end", THERE
    )
    assert done.code == 0, done.err
    return folder / "topology.yaml"


def test_keys_of_servers_on_other_hosts_are_not_made_here(tmp_path: Path) -> None:
    loaded = load(made(tmp_path / "o"))
    assert servers_of(loaded, LAYOUT, here=True) == ["mgmt.example.com", "fe1.example.com"]
    assert servers_of(loaded, LAYOUT, here=False) == ["fe2.example.com"]
    assert not (tmp_path / "o" / "servers" / "fe2.example.com.key").exists()
    assert (tmp_path / "o" / "servers" / "fe1.example.com.key").exists()


def test_steps_are_commands_in_the_order_of_their_use(tmp_path: Path) -> None:
    loaded = load(made(tmp_path / "o"))
    assert list(steps(tmp_path / "o", LAYOUT, loaded, TypedCommands(packaged=False)))[1:] == [
        "sipmesh console certificate ada --role security-officer",
        "sipmesh serve mgmt.example.com fe1.example.com",
        f"on {THERE}, in an empty folder:  sipmesh join request fe2.example.com",
        "here, with that file:  sipmesh join grant fe2.example.com.csr",
        f"on {THERE}, with that file:  sipmesh join accept fe2.example.com.join && sipmesh serve fe2.example.com",
        "sipmesh user add alice@example.com --pool pool1.example.com",
        "sipmesh topology dns        # the records that DNS needs",
        "sipmesh doctor              # until it finds nothing that is to be done",
    ]


def test_started_servers_are_no_step(tmp_path: Path) -> None:
    left = list(
        steps(tmp_path, LAYOUT, load(made(tmp_path / "o")), TypedCommands(packaged=False), has_users=True, runs=True)
    )
    assert not any(line.startswith(("sipmesh serve", "sipmesh user add")) for line in left)


def test_steps_of_the_package_name_its_units_and_its_user(tmp_path: Path) -> None:
    loaded = load(made(tmp_path / "o"))
    accept = "runuser -u sipmesh -- sipmesh join accept fe2.example.com.join"
    assert list(steps(PACKAGE, LAYOUT, loaded, TypedCommands(packaged=True))) == [
        "cd /var/lib/sipmesh",
        "runuser -u sipmesh -- sipmesh console certificate ada --role security-officer",
        "systemctl enable --now sipmesh@mgmt.example.com sipmesh@fe1.example.com",
        f"on {THERE}, in /var/lib/sipmesh:  runuser -u sipmesh -- sipmesh join request fe2.example.com",
        "here, with that file:  runuser -u sipmesh -- sipmesh join grant fe2.example.com.csr",
        f"on {THERE}, with that file:  {accept} && systemctl enable --now sipmesh@fe2.example.com",
        "runuser -u sipmesh -- sipmesh user add alice@example.com --pool pool1.example.com",
        "runuser -u sipmesh -- sipmesh topology dns        # the records that DNS needs",
        "runuser -u sipmesh -- sipmesh doctor              # until it finds nothing that is to be done",
    ]


def test_address_of_another_machine_is_found_before_the_first_start(tmp_path: Path) -> None:
    """This machine has no such address, so no port of it can be opened here."""
    findings = findings_of(Place(made(tmp_path / "o")))
    assert "ports" in {check.name for check in findings}
    assert "servers" not in {check.name for check in findings}
