"""`sipmesh drain` stops a server that runs, and says so; if the server does not run, it says that."""

import pytest

from cli.world import FE1, Organisation, end
from sipmesh.cli.organisation.drain import MOST_CALLS, calls_of
from sipmesh.server.admin.replies import CallReply, WorkReply


@pytest.mark.wide
def test_server_that_is_drained_has_stopped_in_order(organisation: Organisation) -> None:
    organisation.serve(FE1)
    left = organisation.type("drain", FE1.upper())
    assert (left.code, left.err) == (0, "")
    assert f"{FE1} drains: 0 requests without a final response, 0 calls up." in left.out
    assert f"{FE1} has stopped." in left.out
    server = organisation.servers.pop(FE1)
    end(server)
    assert server.returncode == 0
    assert '"event": "drained"' in (organisation.folder / f"{FE1}.log").read_text()
    again = organisation.type("drain", FE1)
    assert (again.code, "does not run on this machine" in again.err) == (1, True)


def test_server_that_is_prepared_goes_on(organisation: Organisation) -> None:
    organisation.serve(FE1)
    for _ in range(2):
        left = organisation.type("drain", FE1, "--prepare")
        assert (left.code, f"To stop it: sipmesh drain {FE1}" in left.out) == (0, True)
    assert organisation.servers[FE1].poll() is None


def test_unknown_server_names_the_nearest(organisation: Organisation) -> None:
    left = organisation.type("drain", "fe2.example.com")
    assert (left.code, f"did you mean '{FE1}'?" in left.err) == (1, True)


def test_newest_calls_are_named_and_the_others_counted() -> None:
    calls = tuple(CallReply(f"sip:a{number}", "sip:b", 61.0) for number in range(MOST_CALLS + 1))
    assert calls_of(WorkReply(calls=calls[:1], calls_up=1)) == ["  sip:a0 to sip:b, for 1 min 1 s"]
    lines = calls_of(WorkReply(calls=calls, calls_up=MOST_CALLS + 1))
    assert len(lines) == MOST_CALLS + 1
    assert lines[-1] == "  and 1 more"
