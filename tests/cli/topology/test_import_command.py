"""A new draft is made from the configuration of another system; the present one stays as it is."""

from __future__ import annotations

from pathlib import Path

from cli.world import Organisation

TABLE = "server,pool,role,address,site\nfe7,second,front-end,127.0.0.7,Paris\n,x,edge,,\n"


def test_new_draft_is_written_beside_the_present_one(organisation: Organisation, tmp_path: Path) -> None:
    before = organisation.file.read_bytes()
    (tmp_path / "servers.csv").write_text(TABLE)
    made = organisation.type("topology", "import", tmp_path / "servers.csv", "--from", "csv")
    assert made.code == 0, made.err
    for line in ("site paris", "pool second.example.com", "server fe7.example.com", "line 3: `server` is empty"):
        assert f"  {line}" in made.out
    assert organisation.file.read_bytes() == before
    draft = organisation.folder / "imported.yaml"
    planned = organisation.type("topology", "plan", "-t", draft, "--json")
    assert "pool second.example.com is added (front-end, site paris)" in planned.json["changes"]
    again = organisation.type("topology", "import", tmp_path / "servers.csv", "--from", "csv")
    assert (again.code, "exists already" in again.err) == (1, True)
    assert organisation.type("topology", "publish", "-t", draft, "-m", "from a table").code == 0


def test_problems_of_the_new_draft_are_printed_and_it_is_still_written(
    organisation: Organisation, tmp_path: Path
) -> None:
    """An operator corrects it step by step."""
    (tmp_path / "list").write_text("1 sips:x_1.example.com\n")
    made = organisation.type(
        "topology", "import", tmp_path / "list", "--from", "kamailio-dispatcher", "-o", "k.yaml", "--json"
    )
    assert made.code == 1
    assert made.json["added"] == ["pool set1.example.com", "server x_1.example.com"]
    assert "is not a host name" in made.json["problems"][0]["reason"]
    assert (organisation.folder / "k.yaml").exists()


def test_draft_is_written_into_the_folder_of_the_topology_only(organisation: Organisation, tmp_path: Path) -> None:
    (tmp_path / "servers.csv").write_text(TABLE)
    source = ("topology", "import", tmp_path / "servers.csv", "--from", "csv", "-o")
    for output in ("topology.yaml", tmp_path / "x.yaml", "../x.yaml", "ca/root.pem"):
        assert organisation.type(*source, output).code == 1
    assert not (tmp_path / "x.yaml").exists()
