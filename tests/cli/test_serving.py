"""`sipmesh serve` is read without the command line where it is typed as units and containers type it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.cli.serving import ENVIRONMENT, Serving


@pytest.mark.parametrize(
    ("arguments", "names", "topology", "level"),
    [
        (["fe1"], ("fe1",), "topology.yaml", "info"),
        (["fe1", "--topology", "/a/b.yaml", "fe2"], ("fe1", "fe2"), "/a/b.yaml", "info"),
        (["--log-level=debug", "-t", "b.yaml", "fe1"], ("fe1",), "b.yaml", "debug"),
        (["--topology=a=b", "fe1"], ("fe1",), "a=b", "info"),
        (["-t", "a", "--topology", "b", "fe1"], ("fe1",), "b", "info"),
    ],
)
def test_command_line_of_a_unit_is_read(
    arguments: list[str], names: tuple[str, ...], topology: str, level: str
) -> None:
    assert Serving.read(["serve", *arguments]) == Serving(names, Path(topology), level)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["status"],
        ["serve"],
        ["serve", "--help"],
        ["serve", "fe1", "-h"],
        ["serve", "fe1", "--topology"],
        ["serve", "fe1", "--log-level", "loud"],
        ["serve", "fe1", "--log-level", "INFO"],
        ["serve", "-tfile", "fe1"],
        ["serve", "-t=file", "fe1"],
        ["serve", "--", "fe1"],
        ["--help", "serve", "fe1"],
    ],
)
def test_what_else_is_typed_is_left_to_the_command_line(arguments: list[str]) -> None:
    assert Serving.read(arguments) is None


def test_environment_names_the_topology_and_an_option_counts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, "/var/lib/topology.yaml")
    read = [Serving.read(["serve", "fe1", *more]) for more in ([], ["-t", "here.yaml"])]
    assert [one.topology for one in read if one] == [Path("/var/lib/topology.yaml"), Path("here.yaml")]
    monkeypatch.setenv(ENVIRONMENT, "")
    assert Serving.read(["serve", "fe1"]) == Serving(("fe1",), Path("topology.yaml"), "info")
