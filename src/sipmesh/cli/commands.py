"""All commands: the name and the line of help of each, and the module that it is imported from when it runs.

The order is that of `sipmesh --help`. A test compares each line with the help of the command itself.
"""

from __future__ import annotations

from typing import Final

from sipmesh.cli import groups
from sipmesh.cli.lazy_group import DeferredCommand, deferred_command, deferred_group

COMMANDS: Final[tuple[DeferredCommand, ...]] = (
    deferred_command(
        "init",
        "Create an organisation in a folder: CA, topology, server certificates and, if wanted, the first users.",
        "sipmesh.cli.organisation.init",
    ),
    deferred_command(
        "serve",
        "Run servers of the topology in this process until a signal stops it.",
        "sipmesh.cli.organisation.serve",
    ),
    deferred_command(
        "drain",
        "Drain a server that runs on this machine: it stops when its work is done.",
        "sipmesh.cli.organisation.drain",
    ),
    deferred_command(
        "status",
        "Show every server: its faults, its topology version, its certificate, its links, and how long it works offline.",
        "sipmesh.cli.diagnosis.status",
    ),
    deferred_command(
        "doctor",
        "Check this host, and the network as management knows it: each check in one sentence, with its remedy.",
        "sipmesh.cli.doctor.command",
    ),
    deferred_command(
        "backup",
        "Write all data that cannot be recreated to an encrypted file: CA, topology, history, audit log, users, keys.",
        "sipmesh.cli.organisation.backup",
    ),
    deferred_command(
        "restore",
        "Restore a backup to an empty folder, completely or not at all.",
        "sipmesh.cli.organisation.backup",
    ),
    deferred_command(
        "links",
        "Show the live links of the servers that run here, each with its verdict.",
        "sipmesh.cli.diagnosis.links",
    ),
    deferred_command(
        "registrations",
        "List every registered device: its user, server, link, contact, user agent, and when its registration expires.",
        "sipmesh.cli.users.registrations",
    ),
    deferred_command(
        "explain",
        "Say why a peer is accepted or refused: each check, the wanted value, the seen value, and the remedy.",
        "sipmesh.cli.diagnosis.explain",
    ),
    deferred_command(
        "trace",
        "Show each message of a user, a call, a partner or a link, live, at all servers of the network.",
        "sipmesh.cli.trace.command",
    ),
    deferred_command(
        "calls",
        "Show records of calls and messages: who called whom, when, for how long, and why a call has failed.",
        "sipmesh.cli.calls.command",
    ),
    deferred_command(
        "register",
        "Register, show what the server proved and answered, and remove the registration again.",
        "sipmesh.cli.client.actions",
    ),
    deferred_command(
        "message",
        "Send a message, and show the final response.",
        "sipmesh.cli.client.actions",
    ),
    deferred_command(
        "call",
        "Make a call without media, hang up, and show both final responses.",
        "sipmesh.cli.client.actions",
    ),
    deferred_group(
        "topology", "The topology: the signed document that names all servers and partners.", groups.topology
    ),
    deferred_group("ca", "Your certificate authority.", groups.ca),
    deferred_group("user", "The users of your SIP domains.", groups.user),
    deferred_group("group", "Groups: addresses whose calls ring at several users.", groups.group),
    deferred_group("directory", "Users from your LDAP directory, Active Directory, or SCIM clients.", groups.directory),
    deferred_group("partner", "Partners: other organisations that you federate with.", groups.partner),
    deferred_group("join", "Add a server on another machine to the network.", groups.join),
    deferred_group("management", "The database of management, and the servers that share it.", groups.management),
    deferred_group("audit", "The audit log: each change of trust, by whom and when.", groups.audit),
    deferred_group("console", "The web console and the HTTP API of the management server.", groups.console),
)


def load_all() -> None:
    """Import all commands: a process that commands are forked from does so once for all of them."""
    for command in COMMANDS:
        _ = command.loaded
