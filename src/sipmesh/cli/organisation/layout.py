"""Which servers a new organisation has, on which hosts, and the draft that names them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from ruamel.yaml import YAML

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.additions import NewPool, NewServer, add_pool, add_server
from sipmesh.topology.document import yaml_edit
from sipmesh.topology.document.parts.acme import ACME
from sipmesh.topology.document.yaml_edit import written
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOOPBACK: Final = "127.0.0.1"

TEMPLATE = """\
# The network of {domain}. It names every server and partner that is trusted. All others are refused.
# This is a draft. Servers use the published version. To publish the draft: sipmesh topology publish -m "why"

sipmesh: 1  # the version of this format
organisation: {organisation}

# The domains of your users, as in alice@{domain}.
sip_domains: [{domain}]

# Your own certificate authority, and its CRLs: one for each CA of the chain. See: sipmesh ca status
authority:
  anchors: [ca/root.pem]
  crls: [ca/root.crl, ca/issuing.crl, ca/devices.crl]
  devices: [ca/devices.pem]  # the CA that issues certificates for phones: sipmesh ca issue --user

pools:
  # The management server signs each version and sends it to all other servers. It carries no calls.
  - name: mgmt.{domain}
    role: management
    servers:
      - {{name: mgmt.{domain}, address: {management}, ports: {{server: 5070}}}}

  # Front ends. Phones log in on port 5061, your other servers connect on port 5062; `ports` sets others.
  # A server listens on `address`, and other servers connect to it there. Without `address`, the server listens on
  # every address, and other servers find it by DNS.
  - name: pool1.{domain}
    role: front-end
    servers:
      - {{name: fe1.{domain}, address: {address}}}
      #- {{name: fe2.{domain}, address: {address}, ports: {{client: 5063, server: 5064}}}}

  # An edge connects to partners. To have an edge, remove the # in front of these lines.
  #- name: sip.{domain}
  #  role: edge
  #  servers:
  #    - {{name: edge1.{domain}, address: {address}, ports: {{server: 5066, partner: 5067}}}}
  #  internal_name: edge-int.{domain}
  #  next_hop: pool1.{domain}

# Phones in web pages connect to front ends by secure WebSocket, on port 8443, if you add a line `websocket: {{}}` here.
# Pages of https://{domain} may connect then; `websocket: {{origins: [...]}}` names other sites.
# `websocket: {{phone: true}}` serves a phone for browsers, at https://SERVER:8443/phone.

# Federation. `sipmesh partner add` writes the partners. Without partners, no other organisation can connect.
#federation:
#  route: sip.{domain}
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """The servers of a new organisation by their addresses: that of *management* is this host, where the CA is.

    Front ends at one address are one pool, since they share a file. *administrator* may use the console, empty if no user may.
    *directory* is that of the public CA from which front ends get certificates by ACME, empty without one.
    """

    domain: str
    management: str = LOOPBACK
    front_ends: Sequence[str] = (LOOPBACK,)
    edges: Sequence[str] = ()
    administrator: str = ""
    directory: str = ""

    def __post_init__(self) -> None:
        if not self.front_ends:
            raise OperatorError("an organisation needs a front end: name its address with --front-end ADDRESS")
        everywhere = (self.management, *self.front_ends, *self.edges)
        local = {address for address in everywhere if ip_address(address).is_loopback}
        if local and len(local) < len(set(everywhere)):
            there = next(address for address in everywhere if address not in local)
            raise OperatorError(
                f"{there} cannot reach a server on {min(local)}: name the address of this host with --management ADDRESS"
            )

    @property
    def is_reached(self) -> bool:
        """Whether other machines reach the servers."""
        return not ip_address(self.management).is_loopback

    @property
    def pools(self) -> dict[str, str]:
        """The pool of front ends at each address."""
        return {
            address: f"pool{number}.{self.domain}" for number, address in enumerate(dict.fromkeys(self.front_ends), 1)
        }

    def draft(self, organisation: str, file: Path) -> str:
        """Return the draft, which will be in *file*."""
        first, *others = self.front_ends
        text = TEMPLATE.format(
            domain=self.domain,
            organisation=written(organisation),
            management=_as_yaml(self.management),
            address=_as_yaml(first),
        )
        seen = {first}
        for address in others:
            new = NewServer(pool=self.pools[address], address=address)
            text = add_server(text, new, file) if address in seen else add_pool(text, _front_ends(address), file)
            seen.add(address)
        if self.edges:
            servers = [NewServer(address=address) for address in self.edges]
            text = add_pool(text, NewPool(Role.EDGE, servers=servers, next_hop=self.pools[first]), file)
        return self._with_public_ca(self._with_console(text))

    def _with_public_ca(self, text: str) -> str:
        if not self.directory:
            return text
        for n, pool in enumerate(YAML(typ="safe").load(text)["pools"]):
            for m, _ in enumerate(pool["servers"] if pool["role"] == Role.FRONT_END else ()):
                text = yaml_edit.put(text, ("pools", n, "servers", m, "client_certificates"), ACME)
        return yaml_edit.put(text, ("acme",), {"directory": self.directory})

    def _with_console(self, text: str) -> str:
        if not self.administrator:
            return text
        operator = {"name": self.administrator, "role": "security-officer"}
        text = yaml_edit.put(text, ("console",), {"listen": "127.0.0.1:8444", "client_certificates": True})
        return yaml_edit.append(text, ("console", "operators"), operator)


def _front_ends(address: str) -> NewPool:
    return NewPool(Role.FRONT_END, servers=[NewServer(address=address)])


def _as_yaml(address: str) -> str:
    return address if address.count(".") else written(address)
