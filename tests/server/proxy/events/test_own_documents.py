"""Which documents only the user itself gets, and which searches are refused; the documents are in the tests of their parts."""

from __future__ import annotations

import json

from server.proxy.events.test_turn_credentials import Clock
from sipmesh.routing.events.packages import MESSAGE_HISTORY, PACKAGES, UA_PROFILE, USER_SEARCH
from sipmesh.server.proxy.events.message_history import MessageHistory
from sipmesh.server.proxy.events.own_documents import OwnDocuments
from sipmesh.server.proxy.events.turn_credentials import TurnCredentials
from sipmesh.server.proxy.events.user_profile import UserProfile
from sipmesh.server.proxy.events.user_search import UserSearches
from sipmesh.server.quotas.limited_log import LimitedLog
from sipmesh.storage.message_cipher import HistoryCipher
from sipmesh.storage.message_queue import MessageQueue
from sipmesh.topology.document.load import load
from support.in_force import current_of
from support.network import FE1, Network
from support.telling import Told

ALICE = "sip:alice@example.test"


def test_two_packages_have_such_documents_and_those_that_are_read_once_are_judged(home: Network) -> None:
    current, told = current_of(load(home.organisations[0].file), FE1), Told()
    log = LimitedLog(told.log, lambda: 0.0, each=9, total=9, window_s=1.0)
    queue = MessageQueue("sqlite://", lambda _: None)
    cipher = HistoryCipher("pool1.example.test", bytes(32))
    history = MessageHistory(cipher, queue, current, lambda _: "", lambda: "token", Clock(), told.log)
    profile = UserProfile(current, TurnCredentials(current, Clock(), log), Clock())
    own = OwnDocuments(profile, UserSearches(current, Clock()), history)
    event = "user-search;query=bob"
    have = {name for name, package in PACKAGES.items() if own.document(package, ALICE, event, None) is not None}
    assert have == {UA_PROFILE.name, USER_SEARCH.name}
    assert json.loads(own.document(UA_PROFILE, ALICE, "ua-profile", None) or b"")["iceServers"] == []
    refused = {name for name, package in PACKAGES.items() if own.refused(package, ALICE, f"{name};query=b") is not None}
    assert refused == {USER_SEARCH.name, MESSAGE_HISTORY.name}
