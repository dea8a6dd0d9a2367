"""Commands of the directory need a published version that names one."""

from __future__ import annotations

from pathlib import Path

from cli.world import sipmesh
from support.managed import Managed, build_managed
from support.openldap import write_password


def test_topology_without_a_directory_is_an_error(tmp_path: Path) -> None:
    organisation = build_managed(tmp_path / "o")
    Managed(organisation, tmp_path)
    for command in ("plan", "apply", "status"):
        told = sipmesh("directory", command, "--topology", organisation.file)
        assert (told.code, "the topology names no directory" in told.err) == (1, True)


def test_command_needs_a_published_version(tmp_path: Path) -> None:
    organisation = build_managed(tmp_path / "o")
    write_password(organisation.folder)
    organisation.document["directory"] = {
        "kind": "openldap",
        "servers": ["dc1.corp.test"],
        "bind": "cn=a",
        "password_file": "secrets/directory",
        "base": "dc=corp",
    }
    organisation.write()
    told = sipmesh("directory", "plan", "--topology", organisation.file)
    assert (told.code, "no version is published here" in told.err) == (1, True)
