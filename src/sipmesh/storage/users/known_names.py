"""What an address in a rule of a user names: a user of ours, an application, or a person elsewhere.

A rule about a name that no user has would be one about a later user of this name, whom the author of the rule does not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.routing.events.watcher_rules import watcher_key
from sipmesh.routing.identity.alias import alias_keys
from sipmesh.routing.registrar.address_of_record import read_address
from sipmesh.storage.users.user_rows import owner_of, user_like

if TYPE_CHECKING:
    from sipmesh.database.lazy_module import sql
    from sipmesh.sip.uri import SipUri
    from sipmesh.topology.document.model import Topology


def must_be_known(topology: Topology, address: SipUri) -> None:
    """Raise `OperatorError` for an *address* in a domain of ours that is none of a user, if no application has it either."""
    if address.host in topology.sip_domains and not is_of_application(topology, address):
        what = f"{address.aor[4:]} is neither a user nor an address of an application"
        raise OperatorError(f"{what}; to list the users: sipmesh user list")


def is_of_application(topology: Topology, address: SipUri) -> bool:
    """Tell whether an application has this *address* in the topology."""
    return any(address.aor[4:] in pool.sip_addresses for pool in topology.pools)


def may_call(topology: Topology, address: SipUri) -> None:
    """Raise `OperatorError` for an *address* in a domain of ours from which nothing can come.

    An application that speaks for a domain may use each name in it.
    """
    if not any(address.host in pool.speaks_for for pool in topology.pools):
        must_be_known(topology, address)


def named_watcher(db: sql.Connection, key: str, *, topology: Topology, is_new: bool = True) -> str:
    """Return the key of the watcher *key*: that of the user who has this name or alias. `EVERYBODY` and domains stay.

    Raises `OperatorError` if it *is_new* and nothing can come from the address.
    """
    if not key.startswith("sip:"):
        return key
    address = read_address(key)
    if address.host not in topology.sip_domains:
        return key
    owner = user_like(db, address.aor) or owner_of(db, alias_keys(address.aor))
    if not owner and is_new:
        may_call(topology, address)
    return watcher_key(owner or key)
