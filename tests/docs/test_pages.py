"""The pages of the site that are made when it is built say what is in the code."""

import re
import tomllib

import pytest

from cli.world import sipmesh
from sipmesh.topology.document.model import Topology
from sipmesh.topology.document.parts.federation import Partner
from support.checkout import DOCS, ROOT
from tools.docs import cli_page, log_page, reference, topology_page

LONGEST_PAGE = 500
"""Lines of one page of the reference: more is not read, but searched."""


@pytest.mark.wide
def test_pages_that_are_made_from_the_code_are_current() -> None:
    """`make reference` writes them. A page that differs is named."""
    made = reference.pages()
    assert reference.outdated(made) == []
    assert reference.outdated({**made, "commands.md": "", "commands/new.md": ""}) == ["commands.md", "commands/new.md"]
    assert [name for name, text in made.items() if len(text.splitlines()) > LONGEST_PAGE] == []


@pytest.mark.wide
def test_pages_of_commands_have_a_section_for_each_command() -> None:
    shown = re.findall(r"^## `sipmesh (.*)`$", "".join(cli_page.pages().values()), re.MULTILINE)
    assert {"init", "topology publish", "ca root prepare", "partner add", "join grant", "audit", "audit verify"} <= set(
        shown
    )
    assert all(sipmesh(*words.split(), "--help").code == 0 for words in shown)
    assert len(shown) == len(set(shown))


def test_page_of_the_topology_has_each_key() -> None:
    page = topology_page.pages()["topology.md"]
    for part in (Topology, Partner):
        assert set(part.model_fields) <= set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE))


def test_pages_of_the_topology_link_to_parts_that_they_have() -> None:
    pages = topology_page.pages()
    heads = {
        name: {head.lower() for head in re.findall(r"^## (.+)$", page, re.MULTILINE)} for name, page in pages.items()
    }
    for name, page in pages.items():
        for other, head in re.findall(r"\]\(([a-z.-]*)#([a-z]+)\)", page):
            assert head in heads[other or name]


@pytest.mark.wide
def test_page_of_the_log_has_events_of_every_way_to_write_one() -> None:
    """By a logger, by the limited log whose first argument is the principal, and by a name that a module imports."""
    texts = {event.text for event in log_page.events()}
    assert {"serving", "link refused", "new certificate in use"} <= texts
    assert any(text.startswith("new certificate rejected") for text in texts)


def test_index_of_decisions_has_each_record_with_its_title() -> None:
    index = (DOCS / "decisions/index.md").read_text()
    for record in sorted((DOCS / "decisions").glob("0*.md")):
        number, title = record.read_text().partition("\n")[0].removeprefix("# ").split(": ", 1)
        assert f"| [{number}]({record.name}) | {title} |" in index
        assert re.findall(r"^## (.+)$", record.read_text(), re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_fragments_of_the_changelog_have_a_type_that_it_knows() -> None:
    """`make changelog` leaves out a fragment of another type, and all fragments if it does not find them."""
    changelog = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
    assert (changelog["directory"], changelog["filename"]) == ("changes", "CHANGELOG.md")
    assert changelog["start_string"] in (ROOT / "CHANGELOG.md").read_text()
    kinds = "|".join(kind["directory"] for kind in changelog["type"])
    assert kinds == "added|changed|deprecated|removed|fixed|security"
    names = [file.name for file in (ROOT / "changes").iterdir() if file.name != "README.md"]
    assert [name for name in names if not re.fullmatch(rf"[a-z0-9-]+\.({kinds})\.md", name)] == []


def test_page_about_browsers_has_the_module_that_the_tests_use() -> None:
    module = (ROOT / "tests/interop/browser/sipjs_connection.js").read_text()
    assert f"```js\n{module}```" in (DOCS / "howto/phones.md").read_text()


def test_figures_of_the_comparison_are_those_that_were_measured() -> None:
    compared = (DOCS / "comparison.md").read_text()
    figures = re.findall(r"([0-9][0-9.,]*) (?:µs|KiB|ms)", compared)
    measured = (DOCS / "performance.md").read_text()
    assert len(figures) == 17
    assert [figure for figure in figures if figure not in measured] == []


@pytest.mark.parametrize("name", ["faults", "directory-failures"])
def test_each_fault_of_a_page_names_a_test_that_is_there(name: str) -> None:
    rows = re.findall(
        r"^\| (?!---|fault |failure |what )(.*) \|$", (DOCS / f"reference/{name}.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 20
    for row in rows:
        file, _, test = row.rpartition(" | ")[2].strip("`").partition("::")
        assert (ROOT / file).is_file(), row
        assert not test or re.search(rf"^(?:async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), row
