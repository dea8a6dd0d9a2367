"""A program that is linphone's contact list: the library of the phone, with one CardDAV list, driven by lines of text.

Arguments: folder, root certificate, URI of the list, user name, password. It synchronises for each line ``sync``, and writes
the contacts as JSON; ``add NAME ADDRESS`` and ``remove NAME`` change a contact first. It runs without the packages of the tests.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from pathlib import Path

PATIENCE_S = 30.0
STEP_S = 0.02
SUCCESS, FAILURE = 1, 2
ERRORS = 0x30


class _List(ctypes.Structure):
    """A ``bctbx_list_t``."""


_List._fields_ = [("next", ctypes.POINTER(_List)), ("prev", ctypes.POINTER(_List)), ("data", ctypes.c_void_p)]
_STATUS = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)


class Phone:
    """One core of the phone with one contact list."""

    def __init__(self, folder: str, root: str, uri: str, user: str, password: str) -> None:
        self._lib = ctypes.CDLL("liblinphone.so.12")
        host = uri.split("/")[2].partition(":")[0]
        with Path(folder, "rc").open("w", encoding="ascii") as file:
            file.write(f"[sip]\nroot_ca={root}\nverify_server_certs=1\nverify_server_cn=1\nuse_ipv6=0\n")
            file.write("sip_port=-1\nsip_tcp_port=-1\nsip_tls_port=-1\n[net]\ndns_srv_enabled=0\n")
            file.write(f"[storage]\nuri={folder}/db\n[misc]\nuuid=urn:uuid:0f0e0d0c-0000-4000-8000-000000000001\n")
        factory = self._call("linphone_factory_get")
        silent = ctypes.c_uint(ERRORS)
        self._call("linphone_logging_service_set_log_level_mask", self._call("linphone_logging_service_get"), silent)
        self._core = self._call("linphone_factory_create_core_3", factory, f"{folder}/rc", None, None)
        self._call("linphone_core_set_root_ca", self._core, root)
        self._call("linphone_core_start", self._core)
        info = self._call("linphone_factory_create_auth_info", factory, user, user, password, None, None, host)
        self._call("linphone_core_add_auth_info", self._core, info)
        self._list = self._call("linphone_core_create_friend_list", self._core)
        self._call("linphone_friend_list_set_type", self._list, ctypes.c_int(0))
        self._call("linphone_friend_list_set_uri", self._list, uri)
        self._call("linphone_core_add_friend_list", self._core, self._list)
        self._status, self._said = 0, ""
        self._callback = _STATUS(self._take)
        callbacks = self._call("linphone_factory_create_friend_list_cbs", factory)
        self._call("linphone_friend_list_cbs_set_sync_status_changed", callbacks, self._callback)
        self._call("linphone_friend_list_add_callbacks", self._list, callbacks)

    def _call(self, name: str, *given: object) -> int:
        function = getattr(self._lib, name)
        function.restype = ctypes.c_void_p
        made = [
            ctypes.c_char_p(one.encode())
            if isinstance(one, str)
            else ctypes.c_void_p(one)
            if isinstance(one, int)
            else one
            for one in given
        ]
        return int(function(*made) or 0)

    def _take(self, _list: int, status: int, message: bytes | None) -> None:
        self._status, self._said = status, (message or b"").decode()

    def synchronise(self) -> dict[str, object]:
        """Synchronise, and give what the phone has then: its contacts, or why it has failed."""
        self._status = 0
        self._call("linphone_friend_list_synchronize_friends_from_server", self._list)
        self._finish()
        friends = sorted((name, address) for _, name, address in self._friends())
        return {"ok": self._status == SUCCESS, "why": self._said, "friends": friends}

    def _friends(self) -> list[tuple[int, str, str]]:
        found, one = [], ctypes.cast(self._call("linphone_friend_list_get_friends", self._list), ctypes.POINTER(_List))
        while one:
            friend = int(one.contents.data or 0)
            address = self._call("linphone_friend_get_address", friend)
            uri = self._text("linphone_address_as_string_uri_only", address) if address else ""
            found.append((friend, self._text("linphone_friend_get_name", friend), uri))
            one = one.contents.next
        return found

    def _text(self, name: str, given: int) -> str:
        pointer = self._call(name, given)
        return (ctypes.cast(pointer, ctypes.c_char_p).value or b"").decode() if pointer else ""

    def add(self, name: str, address: str) -> None:
        """Add a contact, which the phone writes to the server by itself."""
        friend = self._call("linphone_core_create_friend", self._core)
        self._call("linphone_friend_set_name", friend, name)
        made = self._call("linphone_factory_create_address", self._call("linphone_factory_get"), address)
        self._call("linphone_friend_set_address", friend, made)
        self._status = 0
        self._call("linphone_friend_list_add_friend", self._list, friend)
        self._finish()

    def remove(self, name: str) -> None:
        """Remove a contact, also at the server."""
        self._status = 0
        friend = next(friend for friend, known, _ in self._friends() if known == name)
        self._call("linphone_friend_list_remove_friend", self._list, friend)
        self._finish()

    def _finish(self) -> None:
        """Run the phone until it says how its exchange with the server has ended."""
        until = time.monotonic() + PATIENCE_S
        while self._status not in (SUCCESS, FAILURE) and time.monotonic() < until:
            self._call("linphone_core_iterate", self._core)
            time.sleep(STEP_S)


def main() -> None:
    """Carry out the lines of standard input."""
    phone = Phone(*sys.argv[1:6])
    for line in sys.stdin:
        act, *given = line.split()
        if act == "add":
            phone.add(*given)
        elif act == "remove":
            phone.remove(*given)
        sys.stdout.write(f"{json.dumps(phone.synchronise())}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
