"""The audit log takes no line, as on a full disk: who was to lose access keeps no certificate by it, and no line is missing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.portal.test_logout_endpoint import shut
from sipmesh.database.shared import DATABASE
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.management.device_certificates import DeviceIssuing, device_certificates
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.users.user_database import Users
from support.console import Visitor, management_with_console
from support.enrolling import with_devices
from support.managed import Managed
from support.running import within

ALICE = "alice@example.test"


def _unnoted(_act: AuditAct, /, **_about: object) -> None:
    """Write no line."""


def certify(network: Managed) -> None:
    """Give a device of alice a certificate."""
    loaded, ca = network.organisation.load(), CaGenerations(network.organisation.folder / "ca").current
    users = Users(loaded.users_url)
    DeviceIssuing(ca, users, loaded.topology, _unnoted).issue(ALICE, "desk", datetime.now(UTC))
    users.close()


def states(network: Managed) -> list[str]:
    """The states of alice's certificates."""
    generations = CaGenerations(network.organisation.folder / "ca")
    return [str(one.state) for one in device_certificates(generations, ALICE, datetime.now(UTC))]


@pytest.mark.parametrize("way", ["disable", "remove"])
@within(120.0)
async def test_user_who_could_not_be_ended_is_ended_by_the_next_try(tmp_path: Path, way: str) -> None:
    """Else the certificates of a removed user would be valid for the next user of the name."""
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        await with_devices(network)
        certify(network)
        with shut(network.organisation.folder / DATABASE):
            refused = await operator.ask("POST", f"/api/v1/user/{way}", json={"user": ALICE})
        assert (refused.status, "audit log" in refused.json["error"]) == (409, True)
        [known] = [one for one in (await operator.get("/api/v1/users")).json["users"] if one["user"] == ALICE]
        assert known["disabled"] is None, "nothing was changed"
        assert states(network) == ["valid"]
        done = await operator.ask("POST", f"/api/v1/user/{way}", json={"user": ALICE})
        assert (done.status, states(network)) == (200, ["revoked"]), done.text
        lines = [line for line in network.master.management_db.audit.read() if f"{way}d" in line.about]
        assert [line.about[f"{way}d"] for line in lines] == [ALICE]


@within(120.0)
async def test_device_that_could_not_be_revoked_is_revoked_by_the_next_try(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        await with_devices(network)
        certify(network)
        device = {"user": ALICE, "device": "desk"}
        assert (await operator.ask("POST", "/api/v1/user/device/password", json=device)).status == 200
        with shut(network.organisation.folder / DATABASE):
            assert (await operator.ask("POST", "/api/v1/user/device/revoke", json=device)).status == 409
        assert (await operator.ask("POST", "/api/v1/user/device/revoke", json=device)).status == 200
        assert states(network) == ["revoked"]
