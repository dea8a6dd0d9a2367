"""What counts is what is in force after the change: defaults, other parts and new parts are compared as servers use them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.topology.document.parts.federation import Partner
from sipmesh.topology.document.parts.media import Media
from sipmesh.topology.versions.grants import comparisons
from sipmesh.topology.versions.grants.key_changes import KeyChange, Versions

ANY, ENCRYPTED, REQUIRED = MediaPolicy


def topology(media: Media = Media(), domains: tuple[str, ...] = ("example.test",)) -> Any:  # noqa: B008
    return SimpleNamespace(topology=SimpleNamespace(media=media, sip_domains=domains))


def found(
    finds: Callable[[KeyChange], Iterable[str]], old: Any, new: Any, parts: Any = (None, None), both: Any = None
) -> list[str]:
    before, after = both or (topology(), topology())
    return list(finds(KeyChange("key", "place", old, new, parts, Versions(before, after))))


@pytest.mark.parametrize(
    ("old", "new", "ours", "weaker"),
    [
        (None, ANY, Media(), True),
        (ANY, None, Media(), False),
        (REQUIRED, None, Media(default=ENCRYPTED), True),
        (REQUIRED, None, Media(domains={"example.test": ANY}), True),
        (None, ENCRYPTED, Media(default=ENCRYPTED), False),
        (ENCRYPTED, REQUIRED, Media(), False),
    ],
)
def test_partner_without_a_policy_has_that_of_our_users(
    old: MediaPolicy | None, new: MediaPolicy | None, ours: Media, *, weaker: bool
) -> None:
    both = topology(ours), topology(ours)
    assert bool(found(comparisons.weaker_media_of_partner, old, new, both=both)) is weaker


def test_domain_without_a_policy_has_the_default() -> None:
    none, strict = Media(default=ANY), Media(default=ANY, domains={"example.test": REQUIRED})
    for parts, weaker in (((strict, none), ["example.test any"]), ((none, strict), [])):
        old, new = (part.domains for part in parts)
        assert found(comparisons.weaker_media_of_domains, old, new, parts=parts) == weaker


def test_without_origins_those_of_the_sip_domains_are_allowed() -> None:
    assert found(comparisons.new_origins, (), ("https://example.test",)) == []
    assert found(comparisons.new_origins, ("https://a.test",), ()) == ["https://example.test"]
    assert found(comparisons.new_origins, (), ("https://example.test", "https://a.test")) == ["https://a.test"]


@pytest.mark.parametrize(("old", "new", "longer"), [(None, 24, False), (None, 25, True), (48, None, False)])
def test_grace_that_is_not_written_is_the_default(old: int | None, new: int | None, *, longer: bool) -> None:
    parts = tuple(
        Partner.model_validate({"domains": ["a.test"], "anchors": ["a"], "crls": ["a.crl"], "grace": grace})
        for grace in (old, new)
    )
    assert bool(found(comparisons.longer_grace, old, new, parts=parts)) is longer
