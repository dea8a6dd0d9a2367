"""`sipmesh registrations`: which user is registered where, on the running servers of this machine."""

from __future__ import annotations

from sipmesh.cli.links import answers_of
from sipmesh.cli.login_tables import registrations_table
from sipmesh.cli.output import WARN, plural, say, say_json, show
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile


def registrations(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """List every registered device: its user, server, link, contact, user agent, and when its registration ends.

    It asks the servers that run on this machine; a user of a pool on another machine is listed there.
    """
    answers = [one for one in answers_of(Place(topology), "registrations") if one.result["store"]]
    found = [row for answer in answers for row in answer.result["bindings"]]
    if as_json:
        say_json(found)
        return
    if found:
        show(registrations_table("", found))
    for answer in answers:
        say(f"{answer.server}: {plural(answer.result['count'], 'registration')}")
        if (more := answer.result["count"] - len(answer.result["bindings"])) > 0:
            say(f"  of which {more} are not listed", style=WARN)
    if not answers:
        say("No front end runs here.", style="dim")
