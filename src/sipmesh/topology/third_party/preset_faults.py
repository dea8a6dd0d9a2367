"""What has changed outside since a partner was added by a preset: a root that this system trusts no longer, or an old preset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.third_party.presets import OLD
from sipmesh.trust.x509.certificate import fingerprint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.third_party.presets import Presets


def preset_faults(loaded: Loaded, presets: Presets, system: Collection[str], at: datetime) -> Iterator[tuple[str, str]]:
    """Give each fault with its remedy; *system* has the fingerprints of the roots of this system."""
    used = False
    for partner, authority in zip(loaded.topology.federation.partners, loaded.partners, strict=True):
        for preset, root in presets.of(map(fingerprint, authority.anchors)):
            used = True
            if root.sha256 not in system:
                yield (
                    f"partner {partner.name} is trusted by {root.name} of {preset.name}, which this system does not trust",
                    f"remove that root from the anchors of {partner.name}, unless you know why the system lacks it",
                )
    if used and presets.is_old(at):
        yield (
            f"the presets of public CAs are of {presets.date}, more than {OLD.days} days old",
            "install the current release of sipmesh, then compare: sipmesh partner presets",
        )
