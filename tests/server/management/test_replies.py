"""Replies of management, on their way through JSON to the command that has asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sipmesh.server.control_socket import encode
from sipmesh.server.management.replies import (
    ACKNOWLEDGED,
    HISTORY,
    PLAN,
    PUBLISH,
    ROOT,
    VERSION,
    Acknowledgement,
    Plan,
    PublicationReply,
    PutInForce,
    RootStep,
    VersionReply,
)
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.versions.approval import ApprovalNeed
from sipmesh.topology.versions.grants.grant import Gain, Grant
from sipmesh.typed_json import read

FE1 = "fe1.example.test"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
GRANT = Grant("dns", Gain.DECIDE, "those DNS servers", "other DNS servers", ConsoleRole.SECURITY_OFFICER)


def written(reply: object) -> Any:
    return json.loads(encode(reply))


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (PLAN, Plan("topology.yaml", 1, "d1", ["x"], [], [ApprovalNeed("the new version", 1, ["ada"], [])], [GRANT])),
        (PUBLISH, PutInForce(2, ["x"], [], ["s1"], [GRANT])),
        (ACKNOWLEDGED, Acknowledgement(2, [FE1], [], 5)),
        (ROOT, RootStep(2, "CN=Root", [1])),
        (HISTORY, [VersionReply(1, NOON, "root (0)", "first", False, "d1")]),  # noqa: FBT003
        (VERSION, PublicationReply("sipmesh: 1", ["ca/root.pem"], "first")),
    ],
)
def test_reply_comes_back_as_it_was(command: Any, reply: object) -> None:
    assert read(command.reply, written(reply)) == reply
