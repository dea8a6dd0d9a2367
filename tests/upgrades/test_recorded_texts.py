"""What servers of 0.1.0 have written for each other: rows in Valkey, and the tokens of calls that are up.

While a pool is updated, servers of both releases read these texts. A change that cannot read them splits the pool, or ends the
calls that are up: it is a new format, and the notes of its release say so (docs/howto/upgrade.md).
"""

from __future__ import annotations

import pytest

from sipmesh.routing.identity.dialog_token import (
    DialogToken,
    FlowSide,
    FlowToken,
    LoginToken,
    PathToken,
    PeerSide,
    owner_hash,
)
from sipmesh.routing.identity.tokens import Tokens
from sipmesh.storage.location_service.valkey.keys import Keys
from sipmesh.storage.location_service.valkey.rows.seal import Seal
from sipmesh.storage.location_service.valkey.rows.stored_row import read_removal, read_row, value_of
from storage.members import ALICE, PHONE

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
AT = 1_800_000_000
ROW = (
    b'JiFis2sadHD7xQEa ["sip:alice@127.0.0.1:44783;transport=tls","<urn:uuid:00000000-0000-0000-0000-0000a30f0000>",'
    b'1,1.0,"one",1,"fe1.example.test",7,41,"token","baresip",600]'
)
REMOVAL = b'0 XJxtxZ4g17PnzRt7 ["removed",1800000000]'
USER_KEY = b"sipmesh:{Example/pool1.example.test}:aor:4Bjd8kucMp3C_1SnxhMfpto5L9LyKnuzhcc7mJ-yvKUr85bHLgg"

SIDE, POOL = FlowSide(7, 41, owner_hash(ALICE)), PeerSide(owner_hash("pool1.example.test"))
TOKENS = Tokens(KEY, 7, KEY)
CALL = TOKENS.begun("call-1", "1", ALICE, "sip:bob@example.test", "192.0.2.1")
WRITTEN = {
    "ZgEAAAAAAAAABwAAAAAAAAApPpnfJ1sOA55vq2UoIaghtVWpvtI": FlowToken(SIDE),
    "cAEAAAAAAAAABwAAAAAAAAApPpnfJ1sOA54CD1d4H1GuP1wlIU0-mTok9Uog1Js": PathToken(SIDE, POOL),
    "bAEAAAAAAAAABwAAAAAAAAApPpnfJ1sOA57-k5HlwO5s4GSQjfw": LoginToken(SIDE),
    "aAEAAAAAAAAABwAAAAAAAAApPpnfJ1sOA54CD1d4H1GuP1w8dNFccL1YoC6JPscL3B2Z0ZOdHppgu498L15HHW8ewwAAAAAAAAAAAAAAAAAAAABTPkXNpUuk9795"
    "_GA": DialogToken(SIDE, POOL, CALL),
    "SA-FturbvIDFGGWZhuJ_4hhec5BNPRr5K-H_v7m7yrctQhiROMdbQene8VMxQVpoHCoVz9Icv0nZVvp9xV_wwjzrZ_Z2jsaDEo3XMbFJtbFgEtjPSo9CO3X_9lBz"
    "O-0": DialogToken(SIDE, POOL, CALL),
}  # fmt: skip


def test_row_of_the_first_release_is_read_with_the_key_of_its_pool_alone() -> None:
    name = PHONE.key.name.encode()
    read = read_row(ALICE, name, b"5 " + ROW, Seal(KEY))
    assert read is not None
    assert (read.number, read.row) == (5, PHONE)
    assert read_removal(ALICE, name, REMOVAL, Seal(KEY), AT)
    assert read_row(ALICE, name, b"5 " + ROW, Seal(OTHER)) is None


def test_row_of_this_release_can_be_read_by_the_first_release() -> None:
    """Its servers know their users by this key, and tell by the print of the seal whether they share the pool's key."""
    assert value_of(PHONE, Seal(KEY)) == ROW
    assert Keys("Example", "pool1.example.test", KEY).bindings(ALICE) == USER_KEY
    assert Seal(KEY).print == "f70b98b2"


@pytest.mark.parametrize("text", WRITTEN, ids=lambda text: type(WRITTEN[text]).__name__)
def test_token_of_the_first_release_says_the_same_today(text: str) -> None:
    """A call that is up during an update goes on: the servers of both releases read its tokens."""
    read = TOKENS.read(text)
    assert type(read) is type(WRITTEN[text])
    assert read == WRITTEN[text]
    assert Tokens(OTHER, 7, OTHER).read(text) is None


def test_token_of_this_release_can_be_read_by_the_first_release() -> None:
    flow, path, login, dialog, secret = WRITTEN
    assert TOKENS.flow(41, ALICE) == flow
    assert TOKENS.path(41, ALICE, POOL) == path
    assert TOKENS.login(41, ALICE) == login
    assert TOKENS.dialog(SIDE, POOL, CALL) == dialog
    assert TOKENS.dialog(SIDE, POOL, CALL, secret=True) == secret
