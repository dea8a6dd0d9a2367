"""Whatever gives an operator of the console more than before is named; whatever takes away is not."""

from __future__ import annotations

from typing import Any

import pytest

from sipmesh.topology.document.model import Topology
from sipmesh.topology.versions.console_access import new_access

ADA = {"name": "ada", "role": "operator", "token_sha256": "0" * 64}
OPENID = {"issuer": "https://id.example.test", "client_id": "sipmesh", "roles": [{"value": "noc", "role": "viewer"}]}
HIGHER = {**OPENID, "roles": [{"value": "noc", "role": "security-officer"}]}


def topology(console: dict[str, Any] | None) -> Topology:
    listening = {"listen": "127.0.0.1:8444", **console} if console is not None else None
    return Topology.model_validate(
        {
            "sipmesh": 1,
            "organisation": "Example",
            "sip_domains": ["example.test"],
            "authority": {"anchors": ["root.pem"], "crls": ["root.crl"]},
            "pools": [{"name": "p.example.test", "role": "front-end", "servers": ["p.example.test"]}],
            "console": listening,
        }
    )


def given(old: dict[str, Any] | None, new: dict[str, Any] | None) -> list[str]:
    return list(new_access(topology(old), topology(new)))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (None, {"operators": [ADA]}, "ada gets the role operator"),
        ({}, {"operators": [ADA]}, "ada gets the role operator"),
        ({"operators": [{**ADA, "role": "viewer"}]}, {"operators": [ADA]}, "ada gets the role operator"),
        ({"operators": [ADA]}, {"operators": [{**ADA, "token_sha256": "1" * 64}]}, "ada gets another token"),
        ({}, {"client_certificates": True}, "operators may log in with certificates"),
        ({}, {"openid": OPENID}, "https://id.example.test"),
        ({"openid": OPENID}, {"openid": HIGHER}, "https://id.example.test"),
    ],
)
def test_what_gives_more_is_named_and_its_opposite_is_not(
    old: dict[str, Any] | None, new: dict[str, Any], sentence: str
) -> None:
    [found] = given(old, new)
    assert sentence in found
    if new.get("openid") is None or not (old or {}).get("openid"):
        back = given(new, old)
        assert back == ([] if "token" not in sentence else ["ada gets another token"])


def test_equal_and_missing_consoles_give_nothing() -> None:
    assert given({"operators": [ADA]}, {"operators": [ADA]}) == []
    assert given({"operators": [ADA]}, None) == []
    assert given({"operators": [ADA], "openid": OPENID}, {"operators": []}) == []
