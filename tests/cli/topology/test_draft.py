"""The draft of a host is written from a published version, with its anchors; what differs is kept."""

from pathlib import Path

from cli.world import Organisation

OTHER = "# another draft\n"


def anchors_of(organisation: Organisation) -> list[Path]:
    return [organisation.folder / "ca" / "root.pem"]


def test_draft_and_anchors_are_written_where_they_are_missing(organisation: Organisation) -> None:
    text = organisation.file.read_text()
    roots = {file: file.read_bytes() for file in anchors_of(organisation)}
    for file in (organisation.file, *roots):
        file.unlink()
    assert organisation.type("topology", "draft").code == 0
    assert organisation.file.read_text() == text
    assert {file: file.read_bytes() for file in roots} == roots


def test_draft_that_differs_is_replaced_only_with_the_option_and_kept(organisation: Organisation) -> None:
    text = organisation.file.read_text()
    organisation.file.write_text(OTHER)
    refused = organisation.type("topology", "draft")
    assert (refused.code, organisation.file.read_text()) == (1, OTHER)
    assert "--replace" in refused.err
    assert organisation.type("topology", "draft", "--replace").code == 0
    assert organisation.file.read_text() == text
    assert organisation.file.with_name("topology.yaml.before").read_text() == OTHER


def test_same_draft_stays(organisation: Organisation) -> None:
    done = organisation.type("topology", "draft")
    assert done.code == 0
    assert not organisation.file.with_name("topology.yaml.before").exists()


def test_version_that_does_not_exist_is_refused(organisation: Organisation) -> None:
    assert organisation.type("topology", "draft", "99").code == 1
