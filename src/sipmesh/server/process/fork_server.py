"""Processes that start at once, and share the memory of the process that they are forked from.

The process from which others are forked holds no other resource: no thread, no loop, no open file but its standard streams. It
ends when the process that has started it ends in any way, and those that it has forked end with it.

The processes talk over a socket pair. A request is one packet: JSON in UTF-8, with descriptors (`SCM_RIGHTS`), of which the last
is a socket: on it the number of the forked process is sent, and then its exit status.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LONGEST_REQUEST: Final = 1 << 20
MOST_DESCRIPTORS: Final = 4
PR_SET_PDEATHSIG: Final = 1


def ask(requests: socket.socket, request: Mapping[str, object], given: Sequence[int]) -> socket.socket:
    """Have a process forked that gets the descriptors *given*; return the socket on which its number and its status come.

    It ends without a number where no process could be forked. Raises `OSError` where the process that forks has ended.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            socket.send_fds(requests, [json.dumps(request).encode()], [*given, theirs.fileno()])
        except OSError:
            ours.close()
            raise
    return ours


def fork_server(program: Callable[[socket.socket], object]) -> socket.socket:
    """Fork a process that shares our memory, and calls *program* with its end of a socket pair; return our end.

    What exists now is excluded from Python's collector for cycles: it would write to each page. This process may have no thread.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    gc.collect()
    gc.freeze()
    with theirs:
        if os.fork() == 0:
            _close_all_but(theirs.fileno())
            leave(exit_status(lambda: program(theirs)))
    return ours


def _close_all_but(kept: int) -> None:
    """Close all descriptors but the outputs and *kept*; the standard input is empty from now on."""
    for file in list(Path("/proc/self/fd").iterdir()):
        if (descriptor := int(file.name)) not in {1, 2, kept}:
            with suppress(OSError):  # that of the folder itself is closed already
                os.close(descriptor)
    os.open(os.devnull, os.O_RDONLY)  # the lowest number that is free: 0


def serve(requests: socket.socket, become: Callable[[Mapping[str, Any], list[int]], object]) -> None:
    """Fork a process for each request, which calls *become* with the request and its descriptors; tell how each ends."""
    running: dict[int, socket.socket] = {}
    wake, alarm = socket.socketpair()
    alarm.settimeout(0)
    signal.set_wakeup_fd(alarm.fileno())
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    while True:
        ready, _, _ = select.select([requests, wake], [], [])
        if wake in ready:
            wake.recv(4096)
            _reap(running)
        if requests in ready:
            packet, given, _, _ = socket.recv_fds(requests, LONGEST_REQUEST, MOST_DESCRIPTORS)
            if not packet:
                return
            status = socket.socket(fileno=given.pop())
            try:
                pid = os.fork()
            except OSError as wrong:
                sys.stderr.write(f"no process can be forked: {wrong.strerror}\n")
                for descriptor in (status.detach(), *given):
                    os.close(descriptor)
                continue
            if pid == 0:
                for inherited in (requests, wake, alarm, status, *running.values()):
                    inherited.close()
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                leave(exit_status(partial(become, json.loads(packet), given)))
            for descriptor in given:
                os.close(descriptor)
            with suppress(BrokenPipeError):  # no process asks any more
                status.send(str(pid).encode())
            running[pid] = status


def _reap(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with running.pop(pid) as told, suppress(BrokenPipeError):
            told.send(str(os.waitstatus_to_exitcode(status)).encode())


def exit_status(command: Callable[[], object]) -> int:
    """Run a command, and give the status that Python would end with; an error is printed as Python does."""
    try:
        command()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    except BaseException:  # noqa: BLE001 - what is above is of the process that this one was forked from
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def leave(status: int) -> NoReturn:
    """End this process as `sys.exit` does, but do not free all objects first.

    That writes to each page of memory that the process shares with the one it was forked from: 60 ms of CPU time, more than a
    command needs. `multiprocessing` ends its processes in the same way.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - waits for the threads that are no daemons
    atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Ask the kernel to send this process the signal *number* when its parent ends in any way (prctl(2), Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
