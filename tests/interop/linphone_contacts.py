"""A program that is linphone's contact list: the library of the phone, with one CardDAV list, driven by lines of text.

Arguments: folder, root certificate, URI of the list, login, password. It synchronises for each line ``sync``, and writes
the contacts as JSON; ``add NAME ADDRESS`` and ``remove NAME`` change a contact first. It runs without the packages of the tests.
``PYTHONPATH`` has the folder ``tests``.
"""

from __future__ import annotations

import ctypes
import json
import sys

from interop.linphone_library import Library

SUCCESS, FAILURE = 1, 2


class _List(ctypes.Structure):
    """A ``bctbx_list_t``."""


_List._fields_ = [("next", ctypes.POINTER(_List)), ("prev", ctypes.POINTER(_List)), ("data", ctypes.c_void_p)]
_STATUS = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)


class Phone(Library):
    """One core of the phone with one contact list."""

    def __init__(self, folder: str, root: str, uri: str, login: str, password: str) -> None:
        """Log in with a *login* and its *password*, or "" and the URL of the account that an invitation has."""
        super().__init__(folder, root, misc="" if login else f"config-uri={password}\n")
        self.call("linphone_core_start", self.core)
        if login:
            host = uri.split("/")[2].partition(":")[0]
            info = self.call(
                "linphone_factory_create_auth_info", self.factory, login, login, password, None, None, host
            )
            self.call("linphone_core_add_auth_info", self.core, info)
        else:
            self.run_until(lambda: bool(self.call("linphone_core_get_default_account", self.core)))
        self._list = self.call("linphone_core_create_friend_list", self.core)
        self.call("linphone_friend_list_set_type", self._list, ctypes.c_int(0))
        self.call("linphone_friend_list_set_uri", self._list, uri)
        self.call("linphone_core_add_friend_list", self.core, self._list)
        self._status, self._said = 0, ""
        self._callback = _STATUS(self._take)
        callbacks = self.call("linphone_factory_create_friend_list_cbs", self.factory)
        self.call("linphone_friend_list_cbs_set_sync_status_changed", callbacks, self._callback)
        self.call("linphone_friend_list_add_callbacks", self._list, callbacks)

    def _take(self, _list: int, status: int, message: bytes | None) -> None:
        self._status, self._said = status, (message or b"").decode()

    def synchronise(self) -> dict[str, object]:
        """Synchronise, and give what the phone has then: its contacts, or why it has failed."""
        self._status = 0
        self.call("linphone_friend_list_synchronize_friends_from_server", self._list)
        self._finish()
        friends = sorted((name, address) for _, name, address in self._friends())
        return {"ok": self._status == SUCCESS, "why": self._said, "friends": friends}

    def _friends(self) -> list[tuple[int, str, str]]:
        found, one = [], ctypes.cast(self.call("linphone_friend_list_get_friends", self._list), ctypes.POINTER(_List))
        while one:
            friend = int(one.contents.data or 0)
            address = self.call("linphone_friend_get_address", friend)
            uri = self.text("linphone_address_as_string_uri_only", address) if address else ""
            found.append((friend, self.text("linphone_friend_get_name", friend), uri))
            one = one.contents.next
        return found

    def add(self, name: str, address: str) -> None:
        """Add a contact, which the phone writes to the server by itself."""
        friend = self.call("linphone_core_create_friend", self.core)
        self.call("linphone_friend_set_name", friend, name)
        made = self.call("linphone_factory_create_address", self.factory, address)
        self.call("linphone_friend_set_address", friend, made)
        self._status = 0
        self.call("linphone_friend_list_add_friend", self._list, friend)
        self._finish()

    def remove(self, name: str) -> None:
        """Remove a contact, also at the server."""
        self._status = 0
        friend = next(friend for friend, known, _ in self._friends() if known == name)
        self.call("linphone_friend_list_remove_friend", self._list, friend)
        self._finish()

    def _finish(self) -> None:
        """Run the phone until it says how its exchange with the server has ended."""
        self.run_until(lambda: self._status in (SUCCESS, FAILURE))


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
