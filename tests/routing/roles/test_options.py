from __future__ import annotations

from collections.abc import Callable

import pytest

from routing.messages import request
from sipmesh.routing.events.packages import PACKAGES
from sipmesh.routing.outcome import Answer
from sipmesh.routing.roles.options import OF_MANAGEMENT, capabilities, registrar_capabilities
from sipmesh.sip.message import Request


def test_each_role_lists_what_it_takes() -> None:
    asked = request("OPTIONS", "sip:example.test")
    registrar, proxy = dict(registrar_capabilities(asked).headers), dict(capabilities(asked).headers)
    assert proxy.keys() == {"Allow", "Accept"}
    assert registrar["Allow"] == f"{proxy['Allow']}, REGISTER"
    assert set(registrar["Allow-Events"].split(", ")) == PACKAGES.keys()
    assert registrar["Supported"] == "gruu, outbound, path"
    assert dict(capabilities(asked, OF_MANAGEMENT).headers)["Allow"] == "OPTIONS, NOTIFY, SUBSCRIBE, PUBLISH"


@pytest.mark.parametrize("answer", [capabilities, registrar_capabilities])
def test_extension_that_is_required_of_the_server_itself_is_refused(answer: Callable[[Request], Answer]) -> None:
    told = answer(request("OPTIONS", "sip:example.test", ("require", "100rel, teleport")))
    assert (told.status, told.headers) == (420, (("Unsupported", "100rel, teleport"),))
