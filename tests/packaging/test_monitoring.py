"""The alerts for Prometheus and the dashboard for Grafana: each names metrics that servers show, fires, and has its page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from support.checkout import ROOT

MONITORING = ROOT / "packaging/monitoring"
RULES = MONITORING / "sipmesh.rules.yml"
PAGE = ROOT / "docs/howto/alerts.md"
NEEDS_PROMTOOL = pytest.mark.peer("promtool")

DAY = 86_400
FE1 = 'instance="fe1:9105",job="sipmesh"'
SICK: dict[str, tuple[tuple[str, str], ...]] = {
    # by alert: series with their values, one a minute, after which it fires within 20 minutes
    "SipmeshServerDown": ((f"up{{{FE1}}}", "0x20"),),
    "SipmeshServerSilent": ((f'sipmesh_server_up{{{FE1},server="fe2"}}', "0x20"),),
    "SipmeshServerFault": ((f'sipmesh_network_faults{{{FE1},kind="server",code="x"}}', "1x20"),),
    "SipmeshApplicationFault": ((f'sipmesh_network_faults{{{FE1},kind="application",code="x"}}', "1x20"),),
    "SipmeshPartnerFault": ((f'sipmesh_network_faults{{{FE1},kind="partner",code="x"}}', "1x20"),),
    "SipmeshStoreFault": ((f'sipmesh_network_faults{{{FE1},kind="store",code="x"}}', "1x20"),),
    "SipmeshCaFault": ((f'sipmesh_network_faults{{{FE1},kind="CA",code="x"}}', "1x20"),),
    "SipmeshDirectoryNotSynced": ((f"sipmesh_directory_not_synced{{{FE1}}}", "1x20"),),
    "SipmeshManagementUnheard": ((f"sipmesh_management_unheard_seconds{{{FE1}}}", "70x20"),),
    "SipmeshServersBehind": ((f"sipmesh_servers_behind{{{FE1}}}", "1x20"),),
    "SipmeshExpiresSoon": ((f'sipmesh_ends_in_seconds{{{FE1},what="certificate",name="fe1"}}', f"{6 * DAY}x20"),),
    "SipmeshExpired": ((f'sipmesh_ends_in_seconds{{{FE1},what="CRL",name="Example"}}', "-5x20"),),
    "SipmeshCertificateNotTaken": ((f"sipmesh_certificates_not_taken{{{FE1}}}", "1x20"),),
    "SipmeshSourceFails": ((f'sipmesh_source_failing_seconds{{{FE1},source="http://x"}}', f"{DAY}x20"),),
    "SipmeshLinksRefused": ((f'sipmesh_link_verdicts_total{{{FE1},code="revoked"}}', "0+60x20"),),
    "SipmeshLoginsFail": (
        (f'sipmesh_logins_total{{{FE1},result="failed"}}', "0+600x20"),
        (f'sipmesh_logins_total{{{FE1},result="ok"}}', "0+1x20"),
    ),
    "SipmeshPhonesGetNoLink": ((f'sipmesh_client_links_failed_total{{{FE1},reason="not-tls"}}', "0+60x20"),),
    "SipmeshRegistrationsFall": ((f"sipmesh_registrations{{{FE1}}}", "100x15 50x5"),),
    "SipmeshCallsFail": (
        (f"sipmesh_calls_started_total{{{FE1}}}", "0+60x20"),
        (f'sipmesh_calls_answered_total{{{FE1},class="5xx"}}', "0+6x20"),
    ),
    "SipmeshRequestsFail": (
        (f'sipmesh_requests_answered_total{{{FE1},method="MESSAGE",class="2xx"}}', "0+60x20"),
        (f'sipmesh_requests_answered_total{{{FE1},method="MESSAGE",class="5xx"}}', "0+6x20"),
    ),
    "SipmeshOverload": ((f'sipmesh_overload_refused_total{{{FE1},requests="new"}}', "0+60x20"),),
    "SipmeshAtALimit": ((f'sipmesh_requests_limited_total{{{FE1},principal="user"}}', "0+60x20"),),
    "SipmeshSlowTurns": ((f"sipmesh_loop_turn_longest_seconds{{{FE1}}}", "0.7x20"),),
    "SipmeshRegistrationsNotStored": ((f'sipmesh_registration_store_failures{{{FE1},error="disk full"}}', "1x20"),),
    "SipmeshMessagesNotStored": ((f'sipmesh_messages_stored_total{{{FE1},result="failed"}}', "0+1x20"),),
    "SipmeshCallRecordsLost": ((f"sipmesh_call_records_lost_total{{{FE1}}}", "0+1x20"),),
    "SipmeshCallBoundReached": ((f'sipmesh_call_bounds_reached_total{{{FE1},bound="minutes"}}', "0+1x20"),),
    "SipmeshRtpengineAway": ((f"sipmesh_rtpengine_away{{{FE1}}}", "1x20"),),
    "SipmeshWorkersNotServing": ((f'sipmesh_workers{{{FE1},state="ended"}}', "1x20"),),
    "SipmeshWorkersEnd": ((f"sipmesh_worker_starts_total{{{FE1}}}", "0+1x20"),),
    "SipmeshDescriptorsShort": ((f"sipmesh_descriptors_short{{{FE1}}}", "1x20"),),
    "SipmeshAuditLogCut": (
        (f'sipmesh_audit_lines{{{FE1},head="a"}}', "90x10 _x10"),
        (f'sipmesh_audit_lines{{{FE1},head="b"}}', "_x10 80x10"),
    ),
}
WELL = (
    (f"up{{{FE1}}}", "1x20"),
    (f'sipmesh_server_up{{{FE1},server="fe2"}}', "1x20"),
    (f'sipmesh_network_faults{{{FE1},kind="partner",code=""}}', "0x20"),
    (f"sipmesh_management_unheard_seconds{{{FE1}}}", "5x20"),
    (f'sipmesh_ends_in_seconds{{{FE1},what="certificate",name="fe1"}}', f"{20 * DAY}x20"),
    (f'sipmesh_ends_in_seconds{{{FE1},what="CRL",name="Example"}}', f"{5 * DAY}x20"),
    (f'sipmesh_logins_total{{{FE1},result="failed"}}', "0+60x20"),
    (f'sipmesh_logins_total{{{FE1},result="ok"}}', "0+600x20"),
    (f"sipmesh_registrations{{{FE1}}}", "100x15 95x5"),
    (f"sipmesh_calls_started_total{{{FE1}}}", "0+60x20"),
    (f'sipmesh_calls_answered_total{{{FE1},class="5xx"}}', "0+1x20"),
    (f"sipmesh_call_records_total{{{FE1}}}", "0+60x20"),
    (f"sipmesh_call_records_lost_total{{{FE1}}}", "3x20"),
    (f'sipmesh_call_bounds_reached_total{{{FE1},bound="minutes"}}', "3x20"),
    (f'sipmesh_call_bounds_reached_total{{{FE1},bound="longest-call"}}', "0+1x20"),
    (f"sipmesh_rtpengine_away{{{FE1}}}", "0x20"),
    (f'sipmesh_workers{{{FE1},state="serving"}}', "2x20"),
    (f'sipmesh_audit_lines{{{FE1},head="a"}}', "90+1x20"),
)


def rules() -> list[dict[str, Any]]:
    [group] = YAML(typ="safe", pure=True).load(RULES)["groups"]
    return list(group["rules"])


def expressions() -> Iterator[str]:
    yield from (str(rule["expr"]) for rule in rules())
    for panel in json.loads((MONITORING / "sipmesh-dashboard.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def test_rules_and_dashboard_name_metrics_that_servers_show() -> None:
    """docs/reference/metrics.md is compared with the servers in tests/server/admin/metrics."""
    shown = set(re.findall(r"`(sipmesh_\w+)`", (ROOT / "docs/reference/metrics.md").read_text()))
    named = {name.removesuffix("_bucket") for one in expressions() for name in re.findall(r"sipmesh_\w+", one)}
    assert named <= shown, named - shown


def test_each_alert_has_a_section_of_the_page_and_is_tried() -> None:
    page = PAGE.read_text()
    names = [rule["alert"] for rule in rules()]
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == names
    assert [rule["annotations"]["runbook"] for rule in rules()] == [
        f"docs/howto/alerts.md#{name.lower()}" for name in names
    ]
    assert list(SICK) == names


def test_tests_of_remedies_that_the_page_names_exist() -> None:
    found = re.findall(r"^\| (\w+) \| `(tests/[\w/]+\.py)::(test_\w+)` \|$", PAGE.read_text(), re.MULTILINE)
    assert {alert for alert, _, _ in found} <= SICK.keys()
    assert len(found) == len(re.findall(r"^\| \w+ \| `tests/", PAGE.read_text(), re.MULTILINE)) > 0
    for _, file, test in found:
        assert f"def {test}(" in (ROOT / file).read_text(), test


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    panels = json.loads((MONITORING / "sipmesh-dashboard.json").read_text())["panels"]
    taken = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert len({panel["id"] for panel in panels}) == len(panels)


Series = tuple[tuple[str, str], ...]


def tried(folder: Path, *tries: tuple[Series, dict[str, bool]]) -> str:
    """Run the rules for 20 minutes over each series alone; returns what promtool prints about its alerts that differ."""
    file = folder / "test.yml"
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series],
            "alert_rule_test": [
                {"eval_time": "19m", "alertname": name, "exp_alerts": [{}] if fires else []}
                for name, fires in alerts.items()
            ],
        }
        for series, alerts in tries
    ]
    content = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    file.write_text(json.dumps(content))
    command = [str(shutil.which("promtool")), "test", "rules", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr


@NEEDS_PROMTOOL
def test_promtool_accepts_the_rules() -> None:
    command = [str(shutil.which("promtool")), "check", "rules", "--lint-fatal", str(RULES)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr


@NEEDS_PROMTOOL
def test_each_alert_fires_for_what_it_is_about(tmp_path: Path) -> None:
    """An alert that is expected without labels differs from what fires, and promtool prints what has fired."""
    printed = tried(tmp_path, *((series, {name: True}) for name, series in SICK.items()))
    assert re.findall(r'got:\[\s*0:\s*Labels:{[^}]*alertname="(\w+)"', printed) == list(SICK), printed


@NEEDS_PROMTOOL
def test_no_alert_fires_while_all_is_well(tmp_path: Path) -> None:
    assert tried(tmp_path, (WELL, dict.fromkeys(SICK, False))) == ""
