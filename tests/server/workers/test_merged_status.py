"""The report of a server of several processes: sums of links, and everything that any process has seen."""

from __future__ import annotations

from sipmesh.server.replication.server_status import MOST_REFUSALS, ServerStatus
from sipmesh.server.workers.merged_status import merged_status


def test_report_has_the_links_and_the_peers_of_all_processes() -> None:
    own = ServerStatus(number=3, links={"server": 1}, peers=("a.test",), anchors=("aa",), bindings="ff")
    others = [
        ServerStatus(number=3, links={"client": 2, "server": 1}, peers=("b.test", "a.test"), anchors=("bb", "aa")),
        ServerStatus(
            number=3, links={"client": 3}, unanswered=("c.test",), taken_over=("p.test",), certificate_fault="no key"
        ),
    ]
    merged = merged_status(own, others)
    assert dict(merged.links) == {"client": 5, "server": 2}
    assert merged.peers == ("a.test", "b.test")
    assert (merged.anchors, merged.unanswered) == (("aa", "bb"), ("c.test",))
    assert merged.taken_over == ("p.test",)
    assert (merged.number, merged.bindings, merged.certificate_fault) == (3, "ff", "no key")


def test_report_names_no_more_refusals_than_that_of_one_process() -> None:
    many = ServerStatus(number=1, refused=("no",) * MOST_REFUSALS)
    assert len(merged_status(many, [many, many]).refused) == MOST_REFUSALS
