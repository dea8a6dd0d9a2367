"""Rules of calls in the networks of tests: set as a command sets them, and read by each server."""

from __future__ import annotations

from sipmesh.demo.organisation import Organisation
from sipmesh.storage.users.accounts import Accounts
from sipmesh.storage.users.call_rule_edit import CallRuleEdit
from sipmesh.storage.users.user_database import Users
from support.network import Network


async def group(network: Network, name: str, *members: str, order: str = "all", **asked: object) -> None:
    """Add a group of example.test, and let all servers read it. *pool* is its home pool."""
    loaded, pool = network.of("example.test").load(), str(asked.pop("pool", ""))
    users = Users(loaded.users_url)
    accounts = Accounts(users, loaded.topology, lambda _act, /, **_about: None, lambda: None)
    accounts.add_group(name, {"order": order, "add": members, **asked}, pool)
    users.close()
    await refreshed(network)


def change_rules(organisation: Organisation, user: str, **asked: object) -> None:
    """Change the rules of *user*, who may lack a domain."""
    loaded = organisation.load()
    users = Users(loaded.users_url)
    CallRuleEdit(users, loaded.topology).change(user if "@" in user else f"{user}@{organisation.domain}", asked)
    users.close()


async def rules(network: Network, user: str, **asked: object) -> None:
    """Change the rules of *user*, and let all servers read them."""
    domain = user.partition("@")[2] if "@" in user else network.organisations[0].domain
    change_rules(network.of(domain), user, **asked)
    await refreshed(network)


async def refreshed(network: Network) -> None:
    """Let all servers read the users."""
    for node in network.nodes.values():
        await node.user_updates.refresh()
