"""The scripts are what the store takes them for."""

from __future__ import annotations

import pytest

from sipmesh.storage.location_service.valkey import scripts
from support.valkey_server import ValkeyServer


@pytest.mark.peer("valkey")
def test_store_knows_each_script_under_its_digest(valkey: ValkeyServer) -> None:
    assert [valkey.ask("SCRIPT", "LOAD", script) for script in scripts.ALL] == [
        scripts.digest_of(script) for script in scripts.ALL
    ]


def test_each_script_is_refused_as_a_whole_if_memory_is_full() -> None:
    """Without a shebang line, the store would refuse the first command that needs memory, in the middle."""
    assert all(script.startswith(("#!lua\n", "#!lua flags=allow-oom\n")) for script in scripts.ALL)


def test_scripts_that_run_in_a_full_store_only_read_and_remove() -> None:
    for script in scripts.ALL:
        if "allow-oom" in script:
            assert not any(f"'{command}'" in script for command in ("HSET", "SET", "SADD", "HINCRBY", "RENAME"))
