"""A program that is linphone with one account: it sends files beside messages and receives them, driven by lines of text.

Arguments: folder, root certificate, ``host:port`` of the server, address of the user, login, password, URL for files. ``send
ADDRESS FILE`` and ``receive`` write what has become of it as JSON. It runs without the packages of the tests.
``PYTHONPATH`` has the folder ``tests``.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import sys
from pathlib import Path

from interop.linphone_library import Library

REGISTERED = 2
NOT_DELIVERED, ERROR, DONE = 3, 4, 5
DELIVERED = (2, 6, 7)
ACCOUNT = """\
[proxy_0]
reg_proxy=<sip:{server};transport=tls>
reg_route=<sip:{server};transport=tls>
reg_identity=sip:{address}
reg_expires=600
reg_sendregister=1
publish=0
[auth_info_0]
username={user}
userid={login}
passwd={password}
realm={domain}
domain={domain}
"""
_RECEIVED = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


class Phone(Library):
    """One core of the phone with one account."""

    def __init__(self, folder: str, root: str, server: str, address: str, login: str, password: str, url: str) -> None:
        user, _, domain = address.partition("@")
        account = ACCOUNT.format(
            server=server, address=address, user=user, domain=domain, login=login, password=password
        )
        super().__init__(folder, root, account)
        self._folder, self._received = folder, list[int]()
        self._callback = _RECEIVED(self._take)
        callbacks = self.call("linphone_factory_create_core_cbs", self.factory)
        self.call("linphone_core_cbs_set_message_received", callbacks, self._callback)
        self.call("linphone_core_add_callbacks", self.core, callbacks)
        self.call("linphone_core_set_file_transfer_server", self.core, url)
        self.call("linphone_core_start", self.core)
        self.run_until(self._is_registered)

    def _is_registered(self) -> bool:
        account = self.call("linphone_core_get_default_account", self.core)
        return self.call("linphone_account_get_state", account) == REGISTERED

    def _take(self, _core: int, _room: int, message: int) -> None:
        self.call("linphone_chat_message_ref", message)
        self._received.append(message)

    def _state(self, message: int) -> int:
        return self.call("linphone_chat_message_get_state", message)

    def send(self, address: str, file: str) -> dict[str, object]:
        """Send a file; gives the state of the message at its end."""
        to = self.call("linphone_factory_create_address", self.factory, f"sip:{address}")
        room = self.call("linphone_core_get_chat_room", self.core, to)
        content = self.call("linphone_core_create_content", self.core)
        for key, value in (("type", "text"), ("subtype", "plain"), ("name", Path(file).name), ("file_path", file)):
            self.call(f"linphone_content_set_{key}", content, value)
        message = self.call("linphone_chat_room_create_file_transfer_message", room, content)
        self.call("linphone_chat_message_send", message)
        self.run_until(lambda: self._state(message) in (NOT_DELIVERED, ERROR, *DELIVERED))
        return {"delivered": self._state(message) in DELIVERED, "state": self._state(message)}

    def receive(self) -> dict[str, object]:
        """Wait for a file, and fetch it; gives who has sent it, its name, and the hash of its content."""
        if not self.run_until(lambda: bool(self._received)):
            return {"received": False}
        message, into = self._received.pop(0), str(Path(self._folder, "fetched"))
        sender = self.text(
            "linphone_address_as_string_uri_only", self.call("linphone_chat_message_get_from_address", message)
        )
        content = self.call("linphone_chat_message_get_file_transfer_information", message)
        if not content:
            return {"received": True, "from": sender, "text": self.text("linphone_chat_message_get_utf8_text", message)}
        name = self.text("linphone_content_get_name", content)
        self.call("linphone_content_set_file_path", content, into)
        self.call("linphone_chat_message_download_content", message, content)
        self.run_until(lambda: self._state(message) in (ERROR, DONE))
        digest = hashlib.sha256(Path(into).read_bytes()).hexdigest() if Path(into).exists() else ""
        return {
            "received": True,
            "from": sender,
            "name": name,
            "fetched": self._state(message) == DONE,
            "sha256": digest,
        }


def main() -> None:
    """Carry out the lines of standard input."""
    phone = Phone(*sys.argv[1:8])
    sys.stdout.write(json.dumps({"registered": True}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        act, *given = line.split()
        sys.stdout.write(f"{json.dumps(phone.send(*given) if act == 'send' else phone.receive())}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
