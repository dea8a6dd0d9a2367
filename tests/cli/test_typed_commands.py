"""How commands are typed: in the folder of the package by its user, with its units; elsewhere as they are."""

from __future__ import annotations

from pathlib import Path

from sipmesh.cli.typed_commands import PACKAGE, TypedCommands


def test_folder_of_the_package_has_its_user_and_its_units(tmp_path: Path) -> None:
    typed = TypedCommands.in_folder(PACKAGE, systemd=tmp_path)
    assert typed.command("status") == "runuser -u sipmesh -- sipmesh status"
    assert typed.start(["mgmt.a.test", "fe1.a.test"]) == "systemctl enable --now sipmesh@mgmt.a.test sipmesh@fe1.a.test"


def test_container_has_the_folder_of_the_package_without_units(tmp_path: Path) -> None:
    typed = TypedCommands.in_folder(PACKAGE, systemd=tmp_path / "missing")
    assert typed.start(["fe1.a.test"]) == "sipmesh serve fe1.a.test"


def test_commands_of_another_folder_are_typed_as_they_are(tmp_path: Path) -> None:
    typed = TypedCommands.in_folder(tmp_path, systemd=tmp_path)
    assert typed.command("status") == "sipmesh status"
    assert typed.start(["mgmt.a.test", "fe1.a.test"]) == "sipmesh serve mgmt.a.test fe1.a.test"
