from __future__ import annotations

from routing.messages import request
from sipmesh.routing.roles.options import capabilities


def test_server_lists_the_methods_that_it_forwards() -> None:
    told = capabilities(request("OPTIONS", "sip:example.test"))
    assert told.status == 200
    assert {name for name, _ in told.headers} == {"Allow", "Accept", "Supported"}


def test_extension_that_is_required_of_the_server_itself_is_refused() -> None:
    told = capabilities(request("OPTIONS", "sip:example.test", ("require", "100rel, teleport")))
    assert (told.status, told.headers) == (420, (("Unsupported", "100rel, teleport"),))
