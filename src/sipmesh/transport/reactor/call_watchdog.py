"""A thread which ends a call of OpenSSL that holds the event loop: OpenSSL reads on as long as records arrive.

A server may send HelloRequests without end in a handshake of TLS 1.2 (RFC 5246 7.4.1.1). OpenSSL skips them within one call and
has no limit, so no deadline of the loop can fire. What counts is the CPU time of the loop's thread in this one call: on a
machine that is busy with other work, no peer is refused for it.
"""

from __future__ import annotations

import threading
import time
from typing import Final, Protocol

MOST_CPU_S: Final = 0.2
"""CPU time in one call. An RSA signature with a key of 4,096 bits takes a few milliseconds, on the slowest boards 0.1 s."""

LOOK_S: Final = 0.05
"""How often the thread looks while handshakes are under way."""

QUIET_LOOKS: Final = 20
"""After so many looks without a handshake step the thread sleeps until the next one."""


class Cuttable(Protocol):
    """The TLS of a connection, whose call can be ended."""

    def cut(self) -> None:
        """End the call, from another thread."""


class CallWatchdog:
    """Watches the handshake steps of one loop; `enter` and `leave` are called on the thread of the loop."""

    def __init__(self) -> None:
        self._inside: Cuttable | None = None
        self._steps = 0
        self._clock = 0
        self._is_asleep, self._is_stopped = True, False
        self._woken = threading.Event()
        self._looks: threading.Thread | None = None  # not named _thread: compiled, that is a keyword of C

    def __repr__(self) -> str:
        return f"<CallWatchdog {self._steps} steps{', asleep' if self._is_asleep else ''}>"

    def enter(self, tls: Cuttable) -> None:
        """A call of OpenSSL for *tls* begins."""
        self._steps += 1
        self._inside = tls
        if self._is_asleep:
            self._wake()

    def leave(self) -> None:
        """The call has ended."""
        self._inside = None

    def stop(self) -> None:
        """End the thread, at its next look."""
        self._is_stopped = True
        self._woken.set()

    def _wake(self) -> None:
        self._is_asleep = False
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        if self._looks is None:
            self._looks = threading.Thread(target=self._run, name="tls-watchdog", daemon=True)
            self._looks.start()
        self._woken.set()

    def _run(self) -> None:
        while not self._is_stopped:
            self._woken.wait()
            self._woken.clear()
            self._watch()

    def _watch(self) -> None:
        """Look until no handshake has taken a step for a while. *began* is the CPU time when the step was seen first."""
        step, began, quiet = -1, 0.0, 0
        while quiet < QUIET_LOOKS and not self._is_stopped:
            now_in = self._steps
            try:
                used = time.clock_gettime(self._clock)
            except OSError:  # the thread of the loop has ended; another one wakes this thread again
                self._is_asleep = True
                return
            if now_in != step:
                step, began, quiet = now_in, used, 0
            elif self._inside is None:
                quiet += 1
            elif used - began > MOST_CPU_S:
                self._cut(step)
            time.sleep(LOOK_S)
        self._is_asleep = True
        if self._steps != step:  # a step began before it could see that no thread looks
            self._is_asleep = False
            self._woken.set()

    def _cut(self, step: int) -> None:
        """End the call of this step. A name for the TLS in `_watch` would keep it beyond its link."""
        if (tls := self._inside) is not None and self._steps == step:
            tls.cut()
