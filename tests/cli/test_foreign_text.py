"""Text that others wrote, and that reaches an operator's terminal: nothing in it moves the cursor, or forges a line."""

from __future__ import annotations

import ast
import asyncio
import json
import signal
import threading
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

import sipmesh.cli
from cli.world import FE1, FE2, Organisation, end, until
from sipmesh.cli.output import cell, report, say, say_explained, say_json, show, table
from sipmesh.errors import OperatorError, Problem
from sipmesh.sip.message import Request, respond
from support.peer import Peer
from support.running import PATIENCE_S

ATTACK = (
    "\x1b]0;owned\x07\x1b[2J\x1b[1;1Hall in order\x9b31m\x08\x7f\r"
    "\u202eevil\u2066\u200bx\u2028y\u0085z[red]no markup[/red]:smile:\ud800"
)
"""An OSC title, CSI by ESC and by C1, backspace, DEL, bidirectional controls, zero width, line ends, markup, a surrogate."""

CLI = Path(sipmesh.cli.__file__).parent
DANGEROUS = {"Cc", "Cf", "Cs", "Zl", "Zp", "Co"}


def dangerous(text: str) -> list[str]:
    """The characters that a terminal acts on, or that show as something else; a line end ends a line."""
    return [repr(one) for one in text if one != "\n" and unicodedata.category(one) in DANGEROUS]


def test_message_that_comes_in_cannot_act_on_the_terminal(running: Organisation) -> None:
    log = running.folder / "escapes.log"
    login = ("--as", "bob@example.com", "--password-stdin", "--server", running.address(FE2))
    bob = running.spawn("register", "--stay", *login, log=log)
    assert bob.stdin is not None
    bob.stdin.write(b"bob-secret\n")
    bob.stdin.flush()
    until("Waiting for messages", log)
    text = ATTACK.replace("\ud800", "") + "\nerror: forged line " + "long " * 3000 + "END"
    assert running.acting("message", "alice", "bob@example.com", text).code == 0
    until("owned", log)
    until("long", log)
    bob.send_signal(signal.SIGINT)
    end(bob)
    told = log.read_text()
    assert dangerous(told) == []
    assert "[red]no markup[/red]:smile:" in told
    assert not any(line.startswith("error:") for line in told.splitlines())
    assert len(told) < 10_000


async def _refuse_as_bob(running: Organisation, arrived: threading.Event) -> None:
    """Be bob's phone, and refuse what comes in hostile words: in all that a server on the way lets pass."""
    host, _, port = running.address(FE2).partition(":")
    async with await Peer.open((host, int(port)), "bob@example.com") as bob:
        assert (await bob.register()).status == 200
        arrived.set()
        came = await bob.receive()
        assert isinstance(came, Request)
        reason = "".join(one for one in ATTACK if one.isprintable() or unicodedata.category(one) == "Cf")
        hostile = respond(came, 486, reason, headers=[("warning", f'399 x "{reason}"')], to_tag=bob.tag)
        await bob.write(hostile.encode())
        if came.method == "INVITE":
            await bob.request_in("ACK")


@pytest.mark.parametrize("command", [("message", "bob@example.com", "hello"), ("call", "bob@example.com")])
def test_answer_of_a_peer_cannot_act_on_the_terminal(running: Organisation, command: tuple[str, ...]) -> None:
    arrived = threading.Event()
    phone = threading.Thread(target=lambda: asyncio.run(_refuse_as_bob(running, arrived)), daemon=True)
    phone.start()
    arrived.wait(20)
    told = running.acting(command[0], "alice", *command[1:])
    phone.join(PATIENCE_S)
    assert not phone.is_alive()
    assert told.code == 1
    assert dangerous(told.out + told.err) == []
    assert "alice@example.com → bob@example.com: 4" in told.out


def test_certificate_cannot_act_on_the_terminal(organisation: Organisation, tmp_path: Path) -> None:
    """Its names are free text of its owner: here a root's, under which a file is judged."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ATTACK.replace("\ud800", "")[:40])])
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 7, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("fe9.example.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "hostile.pem"
    file.write_bytes(made.public_bytes(Encoding.PEM))
    for more in ((), ("--json",)):
        told = organisation.type("explain", file, "--as", "server", "--server", FE1, *more)
        assert dangerous(told.out + told.err) == []
        assert "owned" in told.out


def test_a_table_a_line_an_error_and_json_are_all_made_printable(capsys: pytest.CaptureFixture[str]) -> None:
    made = table(f"title {ATTACK}", "what")
    made.add_row(cell(ATTACK))
    made.add_row(ATTACK)  # a string that no cell was made of is caught too
    show(made)
    say(ATTACK + "\nerror: forged")
    say_verdict_lines = [f"✓ {ATTACK}", f"  saw {ATTACK}\n  ✓ forged"]
    say_explained(say_verdict_lines)
    report(OperatorError(ATTACK, (Problem(Path(ATTACK), 1, ATTACK, ATTACK, ATTACK),)))
    say_json({"text": ATTACK, ATTACK: [ATTACK]})
    printed = capsys.readouterr()
    assert dangerous(printed.out) == dangerous(printed.err) == []
    assert "[red]no markup[/red]:smile:" in printed.out
    assert not any(line.startswith(("error: forged", "  ✓ forged")) for line in printed.out.splitlines())


def test_json_says_the_same_after_it_was_made_printable(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": ATTACK, "plain": "Ünï ✓ 漢", "many": [ATTACK, {"deep": "\U000e0001"}]}
    say_json(value)
    printed = capsys.readouterr().out
    assert json.loads(printed) == value
    assert "Ünï ✓ 漢" in printed


def test_only_one_module_of_the_commands_writes_to_a_stream() -> None:
    """`output` is the only way out; code that does not use it would print foreign text unchanged."""
    found = {name: list(_ways_around(CLI / name)) for name in sorted(path.name for path in CLI.glob("*.py"))}
    assert {name: ways for name, ways in found.items() if ways and name != "output.py"} == {}
    assert found["output.py"]


def _ways_around(module: Path) -> list[str]:
    """Where a module prints, names a standard stream, or takes what prints from elsewhere."""
    found = []
    for node in ast.walk(ast.parse(module.read_text())):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id == "print":
            found.append("print()")
        if isinstance(called, ast.Attribute) and called.attr in {"print", "echo", "secho", "writelines", "out"}:
            found.append(ast.unparse(called))
        if isinstance(node, ast.Attribute) and node.attr in {"stdout", "stderr", "__stdout__", "__stderr__"}:
            found.append(ast.unparse(node))
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [f"import {name}" for name in names if name.split(".")[0] in {"rich", "click", "logging"}]
    return found
