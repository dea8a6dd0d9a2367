"""Topologies with a portal."""

from __future__ import annotations

from typing import Any

from sipmesh.topology.document.model import Topology


def topology(**oauth: Any) -> Topology:
    """A topology whose ``oauth`` has a portal; *oauth* are other values of its keys."""
    provider = {"issuer": "https://id.example.com", "audience": "sip", "portal": {"client_id": "portal"}}
    return Topology.model_validate(
        {
            "sipmesh": 1,
            "organisation": "Example",
            "sip_domains": ["example.test"],
            "authority": {"anchors": ["root.pem"], "crls": ["root.crl"]},
            "pools": [{"name": "pool1.example.test", "role": "front-end", "servers": ["fe1.example.test"]}],
            "invitations": {"listen": "127.0.0.1:8443"},
            "oauth": {**provider, **oauth},
        }
    )
