"""The pages of the site that are made when it is built say what is in the code."""

import re

from cli.world import sipmesh
from sipmesh.topology.document.model import Partner, Topology
from tools.docs import cli_page, log_page, topology_page


def test_page_of_commands_has_a_section_for_each_command() -> None:
    shown = re.findall(r"^#+ `sipmesh ?(.*)`$", cli_page.page(), re.MULTILINE)
    assert {"init", "topology publish", "ca root prepare", "partner add", "join grant"} <= set(shown)
    assert all(sipmesh(*words.split(), "--help").code == 0 for words in shown)


def test_page_of_the_topology_has_each_key() -> None:
    page = topology_page.page()
    for part in (Topology, Partner):
        assert set(part.model_fields) <= set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE))


def test_page_of_the_topology_links_to_parts_that_it_has() -> None:
    page = topology_page.page()
    heads = {head.lower() for head in re.findall(r"^## (.+)$", page, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([a-z]+)\)", page)) <= heads


def test_page_of_the_log_has_events_of_every_way_to_write_one() -> None:
    """By a logger, by the limited log whose first argument is the principal, and by a name that a module imports."""
    texts = {event.text for event in log_page.events()}
    assert {"serving", "link refused", "certificate taken"} <= texts
    assert any(text.startswith("certificate not taken") for text in texts)
