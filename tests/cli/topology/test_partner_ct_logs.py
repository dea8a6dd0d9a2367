"""The logs of a log list come into the topology."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from cli.world import Organisation
from sipmesh.topology.document.load import load
from trust.ct import SigningLog

GOOGLE, CLOUDFLARE, OLD, PENDING = (SigningLog(name) for name in ("Google", "Cloudflare", "Old", "New"))
AT = "2026-01-02T03:04:05Z"


def entry(log: SigningLog, state: str) -> dict[str, object]:
    return {"description": "a log", "key": base64.b64encode(log.spki).decode(), "state": {state: {"timestamp": AT}}}


def test_logs_that_count_replace_those_before(open_: Organisation, tmp_path: Path) -> None:
    operators = [
        {"name": "Google", "email": [], "logs": [entry(GOOGLE, "usable"), entry(PENDING, "pending")], "tiled_logs": []},
        {"name": "Cloudflare", "logs": [], "tiled_logs": [entry(CLOUDFLARE, "qualified")]},
        {"name": "Old", "logs": [entry(OLD, "retired")]},
    ]
    file = tmp_path / "log_list.json"
    file.write_text(json.dumps({"version": "1", "operators": operators}))
    for _ in range(2):
        done = open_.type("partner", "logs", file)
        assert done.code == 0, done.err
    logs = load(open_.file).topology.federation.ct_logs
    assert [log.operator for log in logs] == ["Google", "Cloudflare", "Old"]
    assert [log.until is not None for log in logs] == [False, False, True]


def test_file_that_is_no_log_list_changes_nothing(open_: Organisation, tmp_path: Path) -> None:
    before = open_.file.read_bytes()
    for content in ("{}", "[]", "x", '{"operators": [{"name": "A", "logs": [{"key": "x", "state": {"usable": {}}}]}]}'):
        (tmp_path / "list.json").write_text(content)
        refused = open_.type("partner", "logs", tmp_path / "list.json")
        says = "is not the key of a log" if "operators" in content else "list.json: is no log list"
        assert (refused.code, says in refused.err, "Value error" in refused.err) == (1, True, False), refused.err
    assert open_.file.read_bytes() == before
