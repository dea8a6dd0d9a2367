"""The command `sipmesh`: its groups, and the one place where errors are printed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from sipmesh.cli.ca import authority, inventory, protect, root
from sipmesh.cli.client import actions
from sipmesh.cli.diagnosis import explain, links, status
from sipmesh.cli.leader import say_where_to_run
from sipmesh.cli.organisation import audit, backup, drain, init, join, management, serve
from sipmesh.cli.organisation import console as web_console
from sipmesh.cli.output import console, report, report_fault, say, say_verdict
from sipmesh.cli.topology import (
    approvals,
    build,
    document,
    import_command,
    partner,
    partner_changes,
    partner_probe,
    publish,
)
from sipmesh.cli.topology.dns import command as dns
from sipmesh.cli.topology.planning import apply, plan, verification
from sipmesh.cli.topology.simulation import simulate
from sipmesh.cli.users import accounts, aliases, presence, registrations, user_state, user_table
from sipmesh.errors import NotLeadingError, SipmeshError
from sipmesh.trust.verdict import LinkRefused

OK, FAILED = 0, 1
"""Exit codes; typer itself exits with 2 if the command line is wrong."""

app = typer.Typer(
    name="sipmesh",
    help="SIP servers that trust each other by certificate and by topology.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version of sipmesh and of its libraries.")
    ] = False,
) -> None:
    if version:
        from sipmesh.cli.versions import versions

        numbers = versions()
        width = max(map(len, numbers))
        say(*(f"{part:<{width}}  {number}" for part, number in numbers.items()))
        raise typer.Exit


@app.command()
def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the network running until Ctrl-C.")] = False,
    pause: Annotated[bool, typer.Option("--pause", help="Wait for the Enter key between two acts.")] = False,
    web: Annotated[
        bool,
        typer.Option(
            "--web", help="Print links to the map in the console and to two web phones, and leave it running."
        ),
    ] = False,
    findings: Annotated[
        Path | None,
        typer.Option("--findings", metavar="FILE", help="Write the full findings to this file. By default a new file."),
    ] = None,
) -> None:
    """Run a whole network on this machine, use it, and attack it.

    Each line is one result. The summary at the end names a file with the full findings: wanted and seen values, and remedies.
    """
    from sipmesh.demo.run import Wishes
    from sipmesh.demo.run import main as play

    raise typer.Exit(play(Wishes(keep, pause, web), findings=findings, console=console()))


app.command("init")(init.init)
app.command("serve")(serve.serve)
app.command("drain")(drain.drain)
app.add_typer(document.app, name="topology")
app.add_typer(authority.app, name="ca")
authority.app.command("inventory")(inventory.inventory)
authority.app.command("protect")(protect.protect)
authority.app.add_typer(root.app, name="root")
app.add_typer(accounts.app, name="user")
accounts.app.add_typer(aliases.app, name="alias")
accounts.app.add_typer(presence.app, name="presence")
accounts.app.command("disable")(user_state.disable)
accounts.app.command("enable")(user_state.enable)
accounts.app.command("export")(user_table.export)
app.add_typer(partner.app, name="partner")
partner.app.command("change")(partner_changes.change)
partner.app.command("remove")(partner_changes.remove)
partner.app.command("unblock")(partner_changes.unblock)
partner.app.command("probe")(partner_probe.probe)
document.app.add_typer(build.app, name="add")
document.app.add_typer(dns.app, name="dns")
document.app.command("change")(build.change)
document.app.command("remove")(build.remove)
document.app.command("rename")(build.rename)
document.app.command("import")(import_command.import_topology)
document.app.command("plan")(plan.plan)
document.app.command("apply")(apply.apply)
document.app.command("verify")(verification.verify)
document.app.command("simulate")(simulate.simulate)
document.app.command("propose")(approvals.propose)
document.app.command("review")(approvals.review)
document.app.command("approve")(approvals.approve)
document.app.command("reject")(approvals.reject)
document.app.command("publish")(publish.publish)
document.app.command("history")(publish.history)
document.app.command("diff")(publish.diff)
document.app.command("rollback")(publish.rollback)
app.add_typer(join.app, name="join")
app.add_typer(management.app, name="management")
app.command("status")(status.status)
app.add_typer(audit.app, name="audit")
app.add_typer(web_console.app, name="console")
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("links")(links.links)
app.command("registrations")(registrations.registrations)
app.command("explain")(explain.explain)
app.command("register")(actions.register)
app.command("message")(actions.message)
app.command("call")(actions.call)


@cache
def command() -> Callable[..., object]:
    """Make all commands from their functions, once in a process."""
    return typer.main.get_command(app)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command, and exit with its exit code."""
    try:
        command()(arguments, prog_name="sipmesh")
    except LinkRefused as refused:
        say_verdict(refused.verdict, error=True)
    except SipmeshError as wrong:
        report(wrong)
        if isinstance(wrong, NotLeadingError):
            say_where_to_run(wrong.leader, sys.argv[1:] if arguments is None else arguments)
    except OSError as wrong:
        where = f"{wrong.filename}: " if wrong.filename else ""
        report(SipmeshError(f"{where}{wrong.strerror or wrong}"))
    except Exception:  # noqa: BLE001 - a traceback may quote text from others
        report_fault()
    sys.exit(FAILED)
