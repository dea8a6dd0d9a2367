"""What a server keeps: nothing of it is left after all phones were silent for longer than every timer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.organisations import WORKERS
from sipmesh.transport.link.state import LinkState
from support.network import BOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulation.server import Server
    from simulation.world import World
    from sipmesh.server.running.running_server import RunningServer


class Sizes:
    """How much each server keeps."""

    def __init__(self, world: World) -> None:
        self.world = world

    def at_rest(self) -> None:
        """Nothing grows."""
        for server, node in self.world.nodes():
            for name, count, most in self._sizes(server, node):
                if count > most:
                    self.world.violated("nothing grows", f"{server.name}: {count} {name}, of at most {most}")

    def _sizes(self, server: Server, node: RunningServer) -> Iterator[tuple[str, int, int]]:
        """Name everything that a server keeps, how much there is of it, and how much there may be at rest."""
        flows = [flow for flow in node.flow_table.sessions() if flow.link.is_here]
        relay, links = node.relay, len(node.reactor.links)
        others = WORKERS.get(server.name, 0)
        yield "branches that wait", relay.load, 0
        yield "branches that linger", len(relay.client_transactions.lingering), 0
        yield "requests that linger", len(relay.server_transactions.ending), 0
        yield "requests", sum(len(flow.served) for flow in flows), 0
        yield "branches", sum(len(flow.sent) for flow in flows), 0
        yield "refused INVITEs", sum(len(flow.refused) for flow in flows), 40
        yield "flows", len(flows), links
        yield "links", links, 60
        yield (
            "descriptors",
            len(server.process.sockets),
            links + 6 + 7 * others,
        )  # the revoked application may be in a handshake
        yield "octets in queues", sum(link.pending_out for link in node.pool.all() if link.state is LinkState.UP), 0
        yield "octets of accounts", sum(flow.account.octets for flow in flows), 0
        yield "branches of accounts", sum(flow.account.branches for flow in flows), 0
        yield "leaving connections", len(node.reactor.leaving), 2  # the revoked application does not give up
        yield (
            "bindings",
            node.registrations.count(),
            len([one for one in self.world.phones if one.server == server.name]),
        )
        yield "servers that do not answer", len(node.outages.names.keys() - {BOT}), 0
        yield "messages that wait for the database", sum(node.events.storing._waiting_of.values()), 0
        fullest = node.accounts.fullest().values()
        yield "branches of all accounts", sum(account.branches + account.branches_elsewhere for account in fullest), 0
        yield "octets of all accounts", sum(account.octets + account.octets_elsewhere for account in fullest), 0
        yield "dead tasks", len([task for task in server.process.tasks if not task.done()]), 12
