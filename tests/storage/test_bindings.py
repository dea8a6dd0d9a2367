import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.routing.registrar.binding import Binding, Changes
from sipmesh.storage.bindings import BindingStore
from sipmesh.storage.locations import Locations

NOON = 1_700_000_000.0
ALICE = "sip:alice@example.test"
PHONE = Binding(
    aor=ALICE,
    contact="sip:alice@127.0.0.1:44783;transport=tls",
    instance="<urn:uuid:00000000-0000-0000-0000-0000a30f0000>",
    reg_id=1,
    q=1.0,
    call_id="one",
    cseq=1,
    server="fe1.example.test",
    incarnation=7,
    flow=41,
    token="token",
    expires_at=NOON + 600,
    user_agent="baresip",
)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[BindingStore]:
    """A store with incarnation 7 of fe1."""
    store = BindingStore(tmp_path / "bindings.db")
    store.begin("fe1.example.test", 7)
    yield store
    store.close()


def as_locations(store: Locations) -> Locations:
    """Let mypy check that the store has the interface that the server needs."""
    return store


def test_binding_is_read_as_it_was_written(store: BindingStore) -> None:
    as_locations(store).apply(Changes(put=(PHONE,)))
    assert store.of(ALICE, NOON) == [PHONE]


def test_what_one_server_wrote_another_sees_at_once(store: BindingStore) -> None:
    """A message sent through fe1 right after the 200 to fe2's REGISTER arrives, without a sleep."""
    other = BindingStore(store.path)
    assert other.of(ALICE, NOON) == []
    store.apply(Changes(put=(PHONE,)))
    assert other.of(ALICE, NOON) == [PHONE]
    other.close()


def test_cached_rows_are_dropped_after_any_write(store: BindingStore) -> None:
    """Each row is read again after a write, by us or by another server."""
    other = BindingStore(store.path)
    assert store.of(ALICE, NOON) == []
    other.apply(Changes(put=(PHONE,)))
    assert store.of(ALICE, NOON) == [PHONE]
    store.apply(Changes(drop=(PHONE.key,)))
    assert store.of(ALICE, NOON) == other.of(ALICE, NOON) == []
    other.close()


@pytest.mark.parametrize(("late", "live"), [(599.0, 1), (600.0, 0)])
def test_binding_is_live_until_it_expires(store: BindingStore, late: float, live: int) -> None:
    store.apply(Changes(put=(PHONE,)))
    assert len(store.of(ALICE, NOON + late)) == live
    assert store.expire(NOON + late) == 1 - live


def test_the_same_device_on_another_server_replaces_its_row(store: BindingStore) -> None:
    store.begin("fe2.example.test", 3)
    moved = replace(PHONE, server="fe2.example.test", incarnation=3, flow=5, contact="sip:alice@other", call_id="two")
    store.apply(Changes(put=(PHONE,)))
    store.apply(Changes(put=(moved,)))
    assert store.of(ALICE, NOON) == [moved]


def test_under_one_call_id_the_higher_cseq_stays(store: BindingStore) -> None:
    """Two servers may decide at the same time; the request that was sent last wins."""
    newer = replace(PHONE, cseq=2, flow=42)
    store.apply(Changes(put=(newer,)))
    store.apply(Changes(put=(PHONE,)))
    assert store.of(ALICE, NOON) == [newer]


def test_rows_of_an_earlier_incarnation_are_never_returned(store: BindingStore) -> None:
    store.apply(Changes(put=(PHONE,)))
    assert store.begin("fe1.example.test", 8) == 1
    store.apply(Changes(put=(PHONE,)))
    assert store.of(ALICE, NOON) == []


def test_restarted_server_drops_only_its_own_rows(store: BindingStore) -> None:
    store.apply(Changes(put=(PHONE,)))
    store.begin("fe2.example.test", 8)
    assert store.of(ALICE, NOON) == [PHONE]


def test_closed_flow_drops_only_its_own_rows(store: BindingStore) -> None:
    bob = replace(PHONE, aor="sip:bob@example.test")
    tablet = replace(PHONE, instance="<urn:uuid:2>", flow=42)
    store.apply(Changes(put=(PHONE, bob, tablet)))
    assert store.drop("fe1.example.test", 7, 41) == [ALICE, "sip:bob@example.test"]
    assert store.of(ALICE, NOON) == [tablet]


def test_closed_flow_does_not_drop_a_device_on_another_flow(store: BindingStore) -> None:
    moved = replace(PHONE, flow=42, cseq=2)
    store.apply(Changes(put=(moved,)))
    assert store.drop("fe1.example.test", 7, 41) == []
    assert store.of(ALICE, NOON) == [moved]


@pytest.mark.parametrize(("token", "left"), [("token", 0), ("another", 1)])
def test_a_stale_row_is_forgotten_unless_it_has_been_renewed(store: BindingStore, token: str, left: int) -> None:
    store.apply(Changes(put=(replace(PHONE, token=token),)))
    store.forget([PHONE])
    assert len(store.of(ALICE, NOON)) == left


def test_changes_are_stored_completely_or_not_at_all(store: BindingStore) -> None:
    store.apply(Changes(put=(PHONE,)))
    broken = replace(PHONE, cseq=2, instance="<urn:uuid:2>", flow=1 << 70)
    with pytest.raises(OverflowError):
        store.apply(Changes(put=(broken,), drop=(PHONE.key,)))
    assert store.of(ALICE, NOON) == [PHONE]


def test_the_preferred_contact_comes_first(store: BindingStore) -> None:
    tablet = replace(PHONE, instance="<urn:uuid:2>", q=0.5)
    desk = replace(PHONE, instance="<urn:uuid:3>", expires_at=NOON + 900)
    store.apply(Changes(put=(tablet, PHONE, desk)))
    assert store.of(ALICE, NOON) == [desk, PHONE, tablet]


def test_invalid_utf8_is_stored_as_escapes(store: BindingStore) -> None:
    store.apply(Changes(put=(replace(PHONE, user_agent=b"phone \xff".decode("utf-8", "surrogateescape")),)))
    assert store.of(ALICE, NOON)[0].user_agent == "phone \\udcff"


def test_only_the_owner_may_read_the_file(store: BindingStore) -> None:
    assert {path.stat().st_mode & 0o777 for path in store.path.parent.iterdir()} == {0o600}


WRITER = """
import sys
from dataclasses import replace
from itertools import count
from sipmesh.routing.registrar.binding import Changes
from sipmesh.storage.bindings import BindingStore
from test_bindings import PHONE
from pathlib import Path
store = BindingStore(Path(sys.argv[1]))
for cseq in count(1):
    store.apply(Changes(put=(replace(PHONE, cseq=cseq), replace(PHONE, aor="sip:bob@example.test", cseq=cseq))))
    print(cseq, flush=True)
"""


def test_kill_9_in_the_middle_of_writes_loses_nothing_acknowledged(store: BindingStore) -> None:
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    command = [sys.executable, "-c", WRITER, str(store.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths}) as writer:
        assert writer.stdout is not None
        acknowledged = [int(next(writer.stdout)) for _ in range(200)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout if line.endswith(b"\n")]
    again = BindingStore(store.path)
    alice, bob = again.of(ALICE, NOON)[0], again.of("sip:bob@example.test", NOON)[0]
    again.close()
    assert alice.cseq == bob.cseq >= acknowledged[-1]


def test_damaged_file_is_set_aside(tmp_path: Path) -> None:
    """Bindings are worthless after a power cut; an operator should not have to delete a file."""
    (tmp_path / "bindings.db").write_bytes(b"not a database" * 1000)
    store = BindingStore(tmp_path / "bindings.db")
    assert store.of(ALICE, NOON) == []
    store.close()
    assert (tmp_path / "bindings.db.spoiled").exists()


def test_missing_folder_is_an_operator_error(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be used"):
        BindingStore(tmp_path / "none" / "bindings.db")


def test_store_has_one_identity_for_all_that_open_it(tmp_path: Path) -> None:
    """Servers with different identities do not know each other's users."""
    one, again = BindingStore(tmp_path / "bindings.db"), BindingStore(tmp_path / "bindings.db")
    other = BindingStore(tmp_path / "other.db")
    assert one.identity == again.identity != other.identity
    assert len(one.identity) == 32
    for store in (one, again, other):
        store.close()
    later = BindingStore(tmp_path / "bindings.db")
    assert later.identity == one.identity
    later.close()


def test_rows_of_one_server_come_page_by_page_in_the_order_of_their_keys(store: BindingStore) -> None:
    """Each row once, wherever a page ends: an address may have several devices. Rows of other servers are not listed."""
    store.begin("fe2.example.test", 1)
    rows = [
        replace(PHONE, aor=f"sip:u{number // 3}@example.test", instance=f"<urn:{number}>", token=str(number))
        for number in range(9)
    ]
    elsewhere = replace(PHONE, server="fe2.example.test", incarnation=1, instance="<urn:9>")
    dead = replace(PHONE, incarnation=6, instance="<urn:10>")
    over = replace(PHONE, expires_at=NOON - 1, instance="<urn:11>")
    store.apply(Changes(put=(*rows, elsewhere, dead, over)))
    found: list[Binding] = []
    while page := store.on_server("fe1.example.test", NOON, 4, found[-1].key if found else ("", "")):
        found += page
    assert sorted(found, key=lambda one: one.token) == rows
    assert store.count("fe1.example.test") == 10, "what has expired is counted until it is swept"
    store.expire(NOON)
    assert store.count("fe1.example.test") == 9
    assert store.count("fe2.example.test") == 1
