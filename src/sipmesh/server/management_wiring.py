"""Build the control plane of a management server, its commands and its console. Other servers do not import this module."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sipmesh.server.admin.status_report import status_of
from sipmesh.server.console.apply_command import ApplyCommand
from sipmesh.server.console.commands import ConsoleCommands
from sipmesh.server.console.console_server import ConsoleServer, presented_leaf
from sipmesh.server.console.device_commands import DeviceCommands
from sipmesh.server.console.draft_commands import DraftCommands
from sipmesh.server.console.enrolment_commands import EnrolmentCommands
from sipmesh.server.console.live_commands import LiveCommands
from sipmesh.server.console.partner_commands import PartnerCommands
from sipmesh.server.console.scim_server import ScimServer
from sipmesh.server.console.search import SearchCommand
from sipmesh.server.console.user_commands import UserCommands
from sipmesh.server.enrolment.enrolment_host import EnrolmentHost
from sipmesh.server.enrolment.enrolment_server import EnrolmentServer
from sipmesh.server.here import here
from sipmesh.server.invitations.invitation_server import InvitationServer
from sipmesh.server.invitations.taking import Taking
from sipmesh.server.management.commands import ManagementCommands
from sipmesh.server.management.controller import Controller
from sipmesh.server.management.replies import USERS_IN_FORCE
from sipmesh.server.portal.portal import Portal
from sipmesh.storage.seen_users import SeenUsers
from sipmesh.storage.users.user_database import Users

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipmesh.server.control_socket import Command
    from sipmesh.server.log import Log
    from sipmesh.server.refresh.reloader import Reloader
    from sipmesh.server.replication.published_version import PublishedVersion
    from sipmesh.server.running.running_server import RunningServer


def attach_controller(node: RunningServer, source: PublishedVersion, reloader: Reloader, log: Log) -> Controller:
    """Make *node* the management server, which publishes into the history of *source*."""
    loaded, status = node.view.loaded, partial(status_of, node)
    users = Users(loaded.users_url, seen=SeenUsers(loaded.folder))
    controller = Controller(node, reloader, status, source, users, here(node.view), node.loop, node.connector.dial, log)
    node.outside.control_plane = controller
    return controller


def with_management(own: Mapping[str, Command], controller: Controller) -> dict[str, Command]:
    """Return the commands of every server, *own*, and those of management."""
    return {**own, **ManagementCommands(controller).commands()}


def pages_with(
    node: RunningServer, controller: Controller, commands: Mapping[str, Command], reloader: Reloader, log: Log
) -> tuple[ConsoleServer, InvitationServer]:
    """Make the console of *node* and its pages for users; *commands* are those of the control socket: both have more."""
    table = _console_commands(node, controller, commands, reloader)
    console = _console(node, controller, table, reloader, log)
    taking = Taking(node, controller.management_db, commands[USERS_IN_FORCE.name])

    def leader() -> str:
        return controller.leadership.leader

    portal = Portal(node, table, taking.sign_in, leader, log, console.log_out)
    return console, InvitationServer(node, taking, portal, leader, log)


def _console_commands(
    node: RunningServer, controller: Controller, commands: Mapping[str, Command], reloader: Reloader
) -> Mapping[str, Command]:
    management_db = controller.management_db
    further = (
        ConsoleCommands(node, management_db, reloader.look),
        EnrolmentCommands(node, management_db),
        UserCommands(node, management_db, commands[USERS_IN_FORCE.name]),
        DeviceCommands(node, management_db, commands[USERS_IN_FORCE.name]),
        LiveCommands(node),
        draft := DraftCommands(node, management_db),
        PartnerCommands(draft, commands),
        ApplyCommand(node, management_db, commands),
        SearchCommand(table := dict(commands)),
    )
    for part in further:
        table.update(part.commands())
    return table


def _console(
    node: RunningServer, controller: Controller, table: Mapping[str, Command], reloader: Reloader, log: Log
) -> ConsoleServer:
    host = EnrolmentHost(
        view=lambda: node.view,
        management_db=controller.management_db,
        now=node.gatekeeper.clock,
        steady=node.loop.time,
        leads=lambda: controller.leadership.leads,
        look=reloader.look,
        count=node.counters.enrolled,
        log=log,
        leaf_of=partial(presented_leaf, node),
    )
    return ConsoleServer(node, table, EnrolmentServer(host), ScimServer(host, controller.directory), log)
