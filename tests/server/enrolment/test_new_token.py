"""The secret from which MAC keys are made is a file of the CA: made once, and a damaged one says so."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sipmesh.database.shared import DATABASE
from sipmesh.errors import OperatorError
from sipmesh.server.enrolment.new_token import FILE, MacSecret, new_account_key, new_password
from sipmesh.sip import base64url
from support.console import Visitor
from support.enrolling import BOT, enrolling, token
from support.running import on_loop


def test_secret_is_made_once_and_gives_each_token_its_own_key(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="no account can be bound"):
        MacSecret.read(tmp_path)
    made = MacSecret.read_or_made(tmp_path)
    assert MacSecret.read_or_made(tmp_path) == MacSecret.read(tmp_path) == made
    assert made.mac_key("a") != made.mac_key("b")
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    (tmp_path / FILE).write_text("{")
    with pytest.raises(OperatorError, match="cannot be read"):
        MacSecret.read_or_made(tmp_path)


def test_no_secret_of_a_token_looks_like_an_option_of_a_command(tmp_path: Path) -> None:
    """As ``certbot --eab-hmac-key -x``. The control: of the MAC keys of other ids, some do."""
    secret = MacSecret.read_or_made(tmp_path)
    assert any(base64url.encode(secret.mac_key(str(number))).startswith("-") for number in range(2_000))
    made = [new_account_key(secret) for _ in range(600)]
    assert all(base64url.encode(secret.mac_key(key_id)) == key for key_id, key in made)
    assert not any(word.startswith("-") for word in (*(key for _, key in made), *(new_password() for _ in range(600))))


@on_loop
async def test_token_is_stored_as_its_hash_and_the_mac_key_not_at_all(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est", "acme") as network, Visitor(network, "sona-token") as officer:
        made = await token(network, hours=1)
        stored = network.master.management_db.enrolment_tokens.find(made["key_id"])
        assert stored is not None
        assert (stored.server, stored.made_by) == (BOT, "sona (API)")
        database = (network.organisation.folder / DATABASE).read_bytes()
        for secret in (made["password"], made["mac_key"]):
            assert secret.encode() not in database
        answer = await officer.ask("POST", "/api/v1/enrol", json={"server": BOT, "hours": 1000})
        assert answer.status == 400
