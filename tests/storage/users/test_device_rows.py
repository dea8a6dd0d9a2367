"""What a client that can write to the database puts into the table of devices harms no other user."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.storage.users.device_rows import MOST_DEVICES, must_be_a_device_name
from sipmesh.storage.users.user_database import Users
from sipmesh.storage.users.user_document import UserDocument
from storage.databases import shell

ALICE = "sip:alice@example.test"
ROW = "INSERT INTO users_devices VALUES ('{aor}', '{device}', {sha}, {md5}, {generation}, '{at}', 'web', '', '')"


def insert(url: str, device: str, *, sha: str = f"'{'a' * 64}'", md5: str = "NULL", generation: str = "7") -> None:
    with shell(url) as db:
        at = "2046-01-01 00:00:00+00:00"
        text = ROW.format(aor=ALICE, device=device, sha=sha, md5=md5, generation=generation, at=at)
        db.exec_driver_sql(text)


@pytest.mark.parametrize(
    ("device", "values"),
    [
        ("../desk", {}),
        ("d" * 33, {}),
        ("Desk", {}),
        ("none", {"sha": "NULL"}),
        ("short", {"sha": "'aa'"}),
        ("nohex", {"md5": f"'{'g' * 32}'"}),
        ("negative", {"generation": "-1"}),
    ],
)
def test_row_that_servers_cannot_read_is_passed_over(
    users: Users, url: str, device: str, values: dict[str, str]
) -> None:
    users.add(ALICE, "alice-pw")
    insert(url, device, **values)
    insert(url, "desk")
    [document] = users.documents("Example", "pool", "pool")
    assert set(UserDocument.decode(document).verifiers[ALICE].devices) == {"desk"}


def test_a_user_has_at_most_so_many_devices_in_memory(users: Users, url: str) -> None:
    users.add(ALICE, "alice-pw")
    for number in range(MOST_DEVICES + 1):
        insert(url, f"d{number:02}")
    [document] = users.documents("Example", "pool", "pool")
    assert len(UserDocument.decode(document).verifiers[ALICE].devices) == MOST_DEVICES


def test_devices_count_for_the_size_of_a_part(users: Users, url: str) -> None:
    users.add(ALICE, "alice-pw")
    users.add("sip:bob@example.test", "bob-pw")
    for number in range(MOST_DEVICES):
        insert(url, f"d{number:02}")
    [document] = users.documents("Example", "pool", "pool")
    parts = UserDocument.decode(document).divided(MOST_DEVICES + 1)
    assert [sorted(part.verifiers) for part in parts] == [[ALICE], ["sip:bob@example.test"]]


def test_device_of_an_earlier_user_of_the_same_name_is_none_of_the_new_user(users: Users, url: str) -> None:
    """An earlier release, which knows no devices, has removed the user and added another one."""
    users.add(ALICE, "alice-pw")
    insert(url, "desk")
    with shell(url) as db:
        db.exec_driver_sql("UPDATE users_devices SET created = '2020-01-01 00:00:00+00:00'")
    insert(url, "mobile")
    [document] = users.documents("Example", "pool", "pool")
    assert set(UserDocument.decode(document).verifiers[ALICE].devices) == {"mobile"}
    users.remove(ALICE)
    insert(url, "left-behind")
    users.add(ALICE, "another alice")
    [document] = users.documents("Example", "pool", "pool")
    assert not UserDocument.decode(document).verifiers[ALICE].devices


@pytest.mark.parametrize("name", ["", "-desk", "desk-", "De", "a b", "a+b", "d" * 33, "é"])
def test_name_that_no_device_can_have(name: str) -> None:
    with pytest.raises(OperatorError, match="no name of a device"):
        must_be_a_device_name(name)
    assert must_be_a_device_name("desk-2") == "desk-2"
