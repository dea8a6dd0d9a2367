"""The report of a server of several processes: sums of links, and everything that any process has seen."""

from __future__ import annotations

from sipmesh.server.replication.server_status import MOST_NEIGHBOURS, MOST_REFUSALS, Neighbour, ServerStatus, TrunkUse
from sipmesh.server.workers.merged_status import merged_status


def test_report_has_the_links_and_the_peers_of_all_processes() -> None:
    own = ServerStatus(number=3, links={"server": 1}, peers=("a.test",), anchors=("aa",), bindings="ff")
    others = [
        ServerStatus(number=3, links={"client": 2, "server": 1}, peers=("b.test", "a.test"), anchors=("bb", "aa")),
        ServerStatus(
            number=3,
            links={"client": 3},
            unanswered=("c.test",),
            taken_over=("p.test",),
            certificate_fault="no key",
            bindings_fault="no space",
            messages_fault="no login",
            records_fault="no room",
            rtpengine_fault="no answer",
        ),
    ]
    merged = merged_status(own, others)
    assert dict(merged.links) == {"client": 5, "server": 2}
    assert merged.peers == ("a.test", "b.test")
    assert (merged.anchors, merged.unanswered) == (("aa", "bb"), ("c.test",))
    assert merged.taken_over == ("p.test",)
    assert (merged.number, merged.bindings) == (3, "ff")
    assert (merged.certificate_fault, merged.bindings_fault) == ("no key", "no space")
    assert merged.messages_fault == "no login"
    assert (merged.records_fault, merged.rtpengine_fault) == ("no room", "no answer")


def test_report_sums_what_the_processes_have_counted() -> None:
    own = ServerStatus(number=1, messages=5, refusals={"revoked": 1})
    others = [ServerStatus(number=1, messages=7, refusals={"revoked": 2, "not-tls": 1}), ServerStatus(number=1)]
    merged = merged_status(own, others)
    assert (merged.messages, merged.refusals) == (12, {"revoked": 3, "not-tls": 1})


def test_report_sums_the_calls_of_each_trunk_and_says_that_it_fails_if_it_fails_for_one_process() -> None:
    one, other = TrunkUse(trunk="a.test", calls=2, minutes=3), TrunkUse(trunk="b.test")
    own = ServerStatus(number=1, trunks=(TrunkUse(trunk="a.test"), other))
    others = [
        ServerStatus(number=1, trunks=(one, other)),
        ServerStatus(number=1, trunks=(one.model_copy(update={"fails": True}),)),
    ]
    assert merged_status(own, others).trunks == (TrunkUse(trunk="a.test", calls=4, fails=True, minutes=6), other)


def test_report_has_the_busiest_links_of_all_processes() -> None:
    """The map of the console draws the links of a server from its report; those with partners are the workers' own."""
    links = [
        Neighbour(peer=f"{name}.test", kind="partner", messages=messages)
        for name, messages in zip("abc", (5, 9, 7), strict=True)
    ]
    statuses = [ServerStatus(number=1, neighbours=(link,)) for link in links]
    assert [one.peer for one in merged_status(statuses[0], statuses[1:]).neighbours] == ["b.test", "c.test", "a.test"]
    many = ServerStatus(number=1, neighbours=(links[0],) * MOST_NEIGHBOURS)
    assert len(merged_status(many, [many]).neighbours) == MOST_NEIGHBOURS


def test_report_has_refusals_of_each_process() -> None:
    """The first refusals of each: a process that refuses much must not hide what another one has refused."""
    own, one, two = (
        ServerStatus(number=1, refused=tuple(f"{name}{turn}" for turn in range(count)))
        for name, count in (("own", 0), ("one", MOST_REFUSALS), ("two", 1))
    )
    assert merged_status(own, [one, two]).refused[:3] == ("one0", "two0", "one1")


def test_report_names_at_most_as_many_refusals_as_that_of_one_process() -> None:
    many = ServerStatus(number=1, refused=("no",) * MOST_REFUSALS)
    assert len(merged_status(many, [many, many]).refused) == MOST_REFUSALS
