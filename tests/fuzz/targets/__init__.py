"""All fuzz targets, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fuzz.target import Target
from fuzz.targets import digest, frames, framing, header, multipart, pidf, sdp, tel, upgrade, uri

TARGETS: Final[Mapping[str, Target]] = {
    module.TARGET.name: module.TARGET
    for module in (framing, header, uri, tel, sdp, multipart, digest, pidf, upgrade, frames)
}
