"""The library of linphone, called from programs that run without the packages of the tests."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 30.0
STEP_S = 0.02
ERRORS = 0x30


class Library:
    """One core of the phone, with its configuration in *folder*; it trusts the *root* certificate alone."""

    def __init__(self, folder: str, root: str, more: str = "", misc: str = "") -> None:
        self._lib = ctypes.CDLL("liblinphone.so.12")
        with Path(folder, "rc").open("w", encoding="ascii") as file:
            file.write(f"[sip]\nroot_ca={root}\nverify_server_certs=1\nverify_server_cn=1\nuse_ipv6=0\n")
            file.write("sip_port=-1\nsip_tcp_port=-1\nsip_tls_port=-1\ndefault_proxy=0\nguess_hostname=0\n")
            file.write(f"register_only_when_network_is_up=0\n[net]\ndns_srv_enabled=0\n[storage]\nuri={folder}/db\n")
            file.write(f"{more}[misc]\nuuid=urn:uuid:0f0e0d0c-0000-4000-8000-000000000001\n{misc}")
        self.factory = self.call("linphone_factory_get")
        silent = ctypes.c_uint(ERRORS)
        self.call("linphone_logging_service_set_log_level_mask", self.call("linphone_logging_service_get"), silent)
        self.core = self.call("linphone_factory_create_core_3", self.factory, f"{folder}/rc", None, None)
        self.call("linphone_core_set_root_ca", self.core, root)

    def call(self, name: str, *given: object) -> int:
        """Call a function: texts and integers, which are pointers, are made what it takes; gives the pointer that it returns."""
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

    def text(self, name: str, given: int) -> str:
        """Call a function that returns a text."""
        pointer = self.call(name, given)
        return (ctypes.cast(pointer, ctypes.c_char_p).value or b"").decode() if pointer else ""

    def run_until(self, done: Callable[[], bool]) -> bool:
        """Run the phone until it is *done*; tell whether it is."""
        until = time.monotonic() + PATIENCE_S
        while not done() and time.monotonic() < until:
            self.call("linphone_core_iterate", self.core)
            time.sleep(STEP_S)
        return done()
