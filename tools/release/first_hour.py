#!/usr/bin/python3
"""Types the tutorial First hour from its second step on, with first_hour.py PAGE BEGAN.

Each command of the page runs on a terminal of its own, which answers what it asks, and must end with the exit code that the page
says. BEGAN is when the installation began, in seconds since 1970: the script says how long the first message took from then on.
"""

import os
import pty
import re
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

STAYS = {"sipmesh serve": "serving", "sipmesh register --stay": "Waiting for messages"}
FAILS = {"sipmesh explain 127.0.0.1:5062", "sipmesh doctor --faults"}
"""The page says of these that they fail, as they must."""

COMMENTED = re.compile(r"^( *)# *(- \{name: fe2\.)", re.MULTILINE)
SERVER = re.compile(r"\.example\.com\b")
PASSWORD = re.compile(r"\b(alice|bob)\b")
ASKED = re.compile(r": $")
PATIENCE_S = 120


def lines_of(page: str) -> Iterator[str]:
    """Give each line to type."""
    for block in re.findall(r"```sh\n(.*?)```", page.partition("\n## 2. ")[2], re.DOTALL):
        yield from block.splitlines()


class Terminal:
    """One command on a terminal, and all that it has printed."""

    def __init__(self, line: str) -> None:
        self.line, self.printed, self.code = line, "", -1
        self.process, self._screen = pty.fork()
        if not self.process:
            # A job in the background, or of nohup, ignores these.
            for one in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
                signal.signal(one, signal.SIG_DFL)
            os.execvp("sh", ["sh", "-c", line])  # noqa: S606 - as a person types it

    def read(self) -> bool:
        """Read what there is, and answer a question; tell whether the command still runs."""
        if not select.select([self._screen], [], [], 0.1)[0]:
            return True
        try:
            self.printed += os.read(self._screen, 65536).decode(errors="replace")
        except OSError:  # the other end is closed
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
            return False
        if ASKED.search(self.printed):
            named = PASSWORD.search(self.line)
            os.write(self._screen, f"{named[0]}-secret\n".encode() if named else b"\n")
            self.printed += "\n"
        return True

    def end(self) -> None:
        """Press Ctrl-C, and wait for the end."""
        os.write(self._screen, b"\x03")
        while self.read():
            pass


def give_up(said: str, *terminals: Terminal) -> None:
    """End with what was printed last."""
    sys.exit("\n".join([said, *(f"$ {one.line}\n{one.printed[-3000:]}" for one in terminals)]))


def stay(line: str, marker: str) -> Terminal:
    """Start what stays, and wait until it has printed *marker*: once for each server that the line names."""
    terminal, until, wanted = Terminal(line), time.monotonic() + PATIENCE_S, len(SERVER.findall(line)) or 1
    while terminal.read() and time.monotonic() < until:
        if terminal.printed.count(marker) >= wanted:
            return terminal
    give_up(f"this has not printed {marker!r}:", terminal)
    return terminal


def run(line: str, wanted: int, staying: list[Terminal]) -> Terminal:
    """Type a command, again and again while a network takes its time, until it ends with *wanted*."""
    until = time.monotonic() + PATIENCE_S
    while True:
        terminal = Terminal(line)
        while terminal.read():
            for other in staying:
                other.read()
        if terminal.code == wanted:
            return terminal
        if time.monotonic() > until:
            give_up(f"this has ended with {terminal.code} and not with {wanted}:", terminal, *staying)
        time.sleep(0.5)


def main(page: str, began: float) -> None:
    """Type all of it."""
    staying: list[Terminal] = []
    revoked = False
    for number, line in enumerate(lines_of(page), 1):
        if line.startswith("cd "):
            os.chdir(line[3:])
            continue
        if line == "sipmesh topology check":
            file = Path("topology.yaml")
            file.write_text(COMMENTED.sub(r"\1\2", file.read_text()))
        marker = next((marker for start, marker in STAYS.items() if line.startswith(start)), "")
        if marker:
            staying.append(stay(line, marker))
            continue
        revoked = (revoked or "ca revoke" in line) and "ca issue" not in line
        run(line, int(line in FAILS or (revoked and line == "sipmesh status")), staying)
        if line.startswith("sipmesh message"):
            print(f"  the first message after {time.time() - began:.0f} s and {number} commands of the page")
    heard = staying[1].printed
    if "hello from the command line" not in heard:
        give_up("bob has no message:", *staying)
    for terminal in reversed(staying):
        terminal.end()
    print(f"  all of First hour after {time.time() - began:.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]).read_text(), float(sys.argv[2]))
