"""What one running server uses."""

from __future__ import annotations

from dataclasses import replace

from sipmesh.topology.expiry.server_use import Use
from topology.expiry.test_inventory import FE1, ISSUING, chain


def test_server_uses_exactly_the_anchors_and_crls_that_it_has() -> None:
    """Another certificate of the same name, and the same mark under another name, are others."""
    crl = replace(ISSUING, number="9", mark="9 of today")
    one = Use(FE1, 4711, {False: chain(FE1)}, anchors=(ISSUING,), lists=(crl,))
    assert one.uses(ISSUING)
    assert one.uses(crl)
    assert not one.uses(replace(ISSUING, mark="c"))
    assert not one.uses(replace(crl, subject="CN=Other"))
