"""The groups of commands: each function imports the commands of one group, and puts them together.

A function is called once in a process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer


def topology() -> typer.Typer:
    """Return the commands `sipmesh topology`."""
    from sipmesh.cli.topology import build, document, draft, import_command
    from sipmesh.cli.topology.dns import command as dns
    from sipmesh.cli.topology.planning import apply, plan, verification
    from sipmesh.cli.topology.simulation import simulate

    app = document.app
    app.add_typer(build.app, name="add")
    app.add_typer(dns.app, name="dns")
    app.command("change")(build.change)
    app.command("remove")(build.remove)
    app.command("rename")(build.rename)
    app.command("draft")(draft.draft)
    app.command("import")(import_command.import_topology)
    app.command("plan")(plan.plan)
    app.command("apply")(apply.apply)
    app.command("verify")(verification.verify)
    app.command("simulate")(simulate.simulate)
    _add_publishing(app)
    return app


def _add_publishing(app: typer.Typer) -> None:
    from sipmesh.cli.topology import approvals, publish

    app.command("propose")(approvals.propose)
    app.command("review")(approvals.review)
    app.command("approve")(approvals.approve)
    app.command("reject")(approvals.reject)
    app.command("publish")(publish.publish)
    app.command("history")(publish.history)
    app.command("diff")(publish.diff)
    app.command("rollback")(publish.rollback)


def ca() -> typer.Typer:
    """Return the commands `sipmesh ca`."""
    from sipmesh.cli.ca import admit, adopt, authority, devices, enrol, inventory, lists, protect, root, subordinate

    authority.app.command("inventory")(inventory.inventory)
    authority.app.command("protect")(protect.protect)
    authority.app.command("admit")(admit.admit)
    authority.app.command("devices")(devices.devices)
    authority.app.command("enrol")(enrol.enrol)
    authority.app.command("request")(subordinate.request)
    authority.app.command("import")(subordinate.import_)
    authority.app.command("adopt")(adopt.adopt)
    authority.app.add_typer(root.app, name="root")
    authority.app.add_typer(lists.app, name="lists")
    return authority.app


def user() -> typer.Typer:
    """Return the commands `sipmesh user`."""
    from sipmesh.cli.users import accounts, aliases, devices, erase, invite, presence, rules, user_state, user_table

    accounts.app.add_typer(aliases.app, name="alias")
    accounts.app.add_typer(presence.app, name="presence")
    accounts.app.add_typer(rules.app, name="rules")
    accounts.app.command("disable")(user_state.disable)
    accounts.app.command("enable")(user_state.enable)
    accounts.app.command("export")(user_table.export)
    accounts.app.command("erase")(erase.erase)
    accounts.app.command("invite")(invite.invite)
    accounts.app.command("invitations")(invite.invitations)
    accounts.app.command("devices")(devices.devices)
    return accounts.app


def group() -> typer.Typer:
    """Return the commands `sipmesh group`."""
    from sipmesh.cli.users import groups

    return groups.app


def directory() -> typer.Typer:
    """Return the commands `sipmesh directory`."""
    from sipmesh.cli.directory import adopt, explain, status, sync, token

    sync.app.command("token")(token.token)
    sync.app.command("status")(status.status)
    sync.app.command("explain")(explain.explain)
    sync.app.command("adopt")(adopt.adopt)
    return sync.app


def partner() -> typer.Typer:
    """Return the commands `sipmesh partner`."""
    from sipmesh.cli.topology import partner, partner_changes, partner_ct_logs, partner_presets, partner_probe

    partner.app.command("change")(partner_changes.change)
    partner.app.command("remove")(partner_changes.remove)
    partner.app.command("unblock")(partner_changes.unblock)
    partner.app.command("probe")(partner_probe.probe)
    partner.app.command("presets")(partner_presets.show_presets)
    partner.app.command("logs")(partner_ct_logs.ct_logs)
    return partner.app


def join() -> typer.Typer:
    """Return the commands `sipmesh join`."""
    from sipmesh.cli.organisation import join

    return join.app


def management() -> typer.Typer:
    """Return the commands `sipmesh management`."""
    from sipmesh.cli.organisation import management

    return management.app


def audit() -> typer.Typer:
    """Return the commands `sipmesh audit`."""
    from sipmesh.cli.organisation import audit

    return audit.app


def console() -> typer.Typer:
    """Return the commands `sipmesh console`."""
    from sipmesh.cli.organisation import console

    return console.app
