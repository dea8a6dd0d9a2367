"""Remedies of docs/howto/alerts.md at the management server and at the hosts that it fetches from."""

from __future__ import annotations

import asyncio
import shutil
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from cli.world import MGMT, Organisation, end, sipmesh
from server.refresh.fetched import ISSUING, fetching
from sipmesh.demo.ports import free_port
from support.alert_rules import fired
from support.figures import Figures, ask_for_figures, figures, figures_with, labelled
from support.network import EDGE, Network
from support.running import on_loop

pytestmark = [pytest.mark.peer("promtool"), pytest.mark.wide]

PASSPHRASE = "correct horse battery staple"


@on_loop
async def test_source_that_fails_for_half_a_day_is_named_until_its_host_answers(
    federation: Network, tmp_path: Path
) -> None:
    port = ask_for_figures(federation.organisations[0], EDGE)
    alerts = {"SipmeshSourceFails"}
    async with fetching(federation) as scene:
        await scene.have_come()
        source = labelled("sipmesh_source_failing_seconds", source=scene.publisher.url(ISSUING), owner="partner.test")
        well = await figures(port)
        assert well[source] == 0
        await scene.publisher.close()
        await scene.poke()
        scene.be_late(timedelta(hours=13))
        await scene.poke()
        bad = await figures_with(port, lambda found: found[source] > 0)
        told = "".join(alarm.sentence(scene.node.gatekeeper.clock()) for alarm in scene.alarms())
        assert (
            scene.publisher.url(ISSUING) in told,
            "(cannot be reached: Connection refused): check from" in told,
        ) == (True, True), told
        await scene.publisher.open()
        await scene.poke()
        after = await figures_with(port, lambda found: found[source] == 0)
    assert fired(tmp_path, alerts, well, bad, after, after) == {"before": set(), "during": alerts, "after": set()}


def lines(organisation: Organisation, port: int) -> Figures:
    """Run management, and give its figures once it shows the audit log."""
    organisation.serve()
    return asyncio.run(figures_with(port, lambda found: any(name == "sipmesh_audit_lines" for name, _ in found)))


def stopped(organisation: Organisation) -> None:
    process = organisation.servers.pop(MGMT)
    process.send_signal(signal.SIGTERM)
    end(process)


def test_audit_log_that_was_cut_is_whole_again_after_a_restore(tmp_path: Path) -> None:
    """An older database is put in place of the newest one."""
    words = tmp_path / "words"
    words.write_text(f"{PASSPHRASE}\n")
    words.chmod(0o600)
    port, made = free_port(), Organisation.make(tmp_path / "o")
    plain = f"{{name: {MGMT}, address: 127.0.0.1"
    text = made.file.read_text()
    assert plain in text
    made.file.write_text(text.replace(plain, f"{plain}, metrics: {port}"))
    made.publish("metrics of management")
    database, older = made.folder / "management.db", tmp_path / "older.db"
    shutil.copyfile(database, older)
    for name in ("alice", "bob", "carol"):
        made.add_user(name)
    assert made.type("backup", tmp_path / "b", "--passphrase-file", words).code == 0
    well = lines(made, port)
    stopped(made)
    shutil.copyfile(older, database)
    bad = lines(made, port)
    verified = made.type("audit", "verify")
    assert (verified.code, "lines were changed or removed" in verified.err) == (1, True), verified.err
    stopped(made)
    back = sipmesh("restore", tmp_path / "b", "--dir", tmp_path / "back", "--passphrase-file", words)
    assert back.code == 0, back.err
    restored = Organisation(tmp_path / "back", made.domain, ports=made.ports)
    try:
        after = lines(restored, port)
        assert restored.type("audit", "verify").code == 0
    finally:
        restored.stop()
    alerts = {"SipmeshAuditLogCut"}
    phases = fired(tmp_path, alerts, well, bad, after, after, every_s=60)
    assert phases == {"before": set(), "during": alerts, "after": set()}
