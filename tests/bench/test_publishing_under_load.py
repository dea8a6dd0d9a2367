"""Publishing every second while users' messages are relayed: no request is lost that the new topology still allows."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from bench.organisation import PASSWORD
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.demo.ports import HOST
from sipmesh.server.control_socket import SOCKET_SUFFIX, ask
from sipmesh.server.management.publishing.offline_publish import publish_first
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.process import serving
from support.running import within

pytestmark = pytest.mark.wide

DOMAIN, FRONT_END, OTHER, SINK, MGMT = "a.test", "p1.a.test", "p2.a.test", "sink.b.test", "mgmt.a.test"
LINKS = 20
SHORT_S, MINUTE_S = 5, 60


@pytest.fixture(name="organisation")
def _organisation(tmp_path: Path) -> Organisation:
    """What the load generator expects to meet, with management; nothing runs."""
    made = Organisation.build(
        tmp_path / "m",
        DOMAIN,
        (
            PoolPlan(MGMT, Role.MANAGEMENT, (MGMT,)),
            PoolPlan(FRONT_END, Role.FRONT_END, (FRONT_END,)),
            PoolPlan(SINK, Role.APPLICATION, (SINK,), {"next_hop": FRONT_END}),
        ),
    )
    made.write()
    made.issue_all()
    users = Users(made.load().users_url)
    for number in range(LINKS):
        users.add(f"user{number}@{DOMAIN}", PASSWORD)
    users.close()
    publish_first(made.file, "ada (1)", "it begins", datetime.now(UTC))
    return made


def joined(organisation: Organisation, folder: Path) -> Organisation:
    """The front end in a folder of its own, with what it was granted."""
    for made in ("servers", "ca"):
        (folder / made).mkdir(parents=True)
    for file in organisation.credentials(FRONT_END):
        shutil.copy(file, folder / "servers" / file.name)
    for file in (organisation.folder / "ca").glob("*.crl"):
        shutil.copy(file, folder / "ca" / file.name)
    management_db = ManagementDb(organisation.folder)
    anchors = x509.load_pem_x509_certificates(organisation.root.read_bytes())
    DocumentStore(folder, FRONT_END).begin(management_db.history.get(1).jws, anchors)
    management_db.close()
    return replace(organisation, folder=folder)


def relay(load: Path, organisation: Organisation, pid: int, seconds: int) -> dict[str, Any]:
    """The relay load of the bench: messages of users to another server, as many as go through."""
    credentials = organisation.credentials(SINK)
    sink = f"{HOST}:{organisation.ports[SINK][LinkKind.SERVER]}"
    to = f"{HOST}:{organisation.ports[FRONT_END][LinkKind.CLIENT]}"
    command = [load, "messages", "--connect", to, "--ca", organisation.root, "--pid", pid, "--links", LINKS]
    command += ["--sink", sink, "--sink-certificate", credentials[0], "--sink-key", credentials[1]]
    command += ["--seconds", seconds, "--warmup", 1, "--hold", 0]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=seconds + 60, check=False)
    assert ran.stdout, ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


def toggled(document: dict[str, Any], number: int) -> None:
    """Every other version has a second pool, and another domain blocked: every link is judged again."""
    pools = [pool for pool in document["pools"] if pool["name"] != OTHER]
    if number % 2:
        pools.append({"name": OTHER, "role": "front-end", "servers": [{"name": OTHER, "address": "127.0.76.9"}]})
    document["pools"] = pools
    document["sip_domains"] = [DOMAIN, f"d{number}.test"]


async def publishing(organisation: Organisation, until: float) -> list[float]:
    """Publish every second; gives how long each took until the front end had said that it is in force."""
    control = organisation.folder / "state" / f"{MGMT}{SOCKET_SUFFIX}"
    took: list[float] = []
    while time.monotonic() < until:
        began = time.monotonic()
        toggled(organisation.document, len(took))
        organisation.write()
        plan = await ask(control, "plan", 30)
        given = {"base": plan["base"], "digest": plan["digest"], "force": True}
        told = await ask(control, "publish", 30, why="every second", **given)
        while FRONT_END in (await ask(control, "acknowledged", 30, version=told["version"], wait_s=0.05))["missing"]:
            assert time.monotonic() < began + 20, "not acknowledged after 20 s"
        took.append(time.monotonic() - began)
        await asyncio.sleep(max(0.0, began + 1 - time.monotonic()))
    return took


async def _published_under_load(organisation: Organisation, load: Path, folder: Path, seconds: int) -> None:
    far = joined(organisation, folder)
    async with serving(organisation, MGMT), serving(far, FRONT_END) as front_end:
        while not (await front_end.ask("status"))["links"]:
            await asyncio.sleep(0.01)
        users = far.folder / "state" / f"{FRONT_END}.users"
        while not users.exists():
            await asyncio.sleep(0.01)
        with ThreadPoolExecutor(1) as pool:
            loop, pid = asyncio.get_running_loop(), front_end.started.pid
            relayed = loop.run_in_executor(pool, relay, load, organisation, pid, seconds)
            took = await publishing(organisation, time.monotonic() + seconds)
            result = await relayed
        told = f"{result['done']} requests relayed, {len(took)} versions, the slowest in force after {max(took):.2f} s"
        sys.stdout.write(f"{told}\n")
        assert (result["errors"], result["unanswered"]) == (0, 0), result
        assert result["done"] > 100 * seconds
        assert len(took) >= seconds / 3
        held = DocumentStore(far.folder, FRONT_END).load()
        assert held.number == 1 + len(took)


@within(60)
async def test_no_request_is_lost_while_versions_are_published(
    organisation: Organisation, load: Path, tmp_path: Path
) -> None:
    await _published_under_load(organisation, load, tmp_path / "f", SHORT_S)


@pytest.mark.soak
@within(200)
async def test_no_request_is_lost_in_a_minute_of_versions(
    organisation: Organisation, load: Path, tmp_path: Path
) -> None:
    await _published_under_load(organisation, load, tmp_path / "f", MINUTE_S)
