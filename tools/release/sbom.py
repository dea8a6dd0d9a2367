"""Completes the list of the Python libraries with those of the web phone and with the packages of the image: sbom.py IMAGE.

Reads CycloneDX from the standard input, and writes CycloneDX with all components.
"""

from __future__ import annotations

import json
import sys
import tarfile
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

WEB_PHONE = Path("web_phone/package-lock.json")
STATUS = "var/lib/dpkg/status"
NO_LAYER = 1_000_000
"""Octets: what is smaller in an image describes it."""


def component(purl: str, name: str, version: str, **more: Any) -> dict[str, Any]:
    """Give the entry of one library, by its package URL."""
    return {"bom-ref": purl, "type": "library", "name": name, "version": version, "purl": purl, **more}


def of_python(listed: Any) -> Iterator[dict[str, Any]]:
    """Give the Python libraries: the hashes are those of the files that pip may take."""
    for one in listed["components"]:
        yield component(one["purl"], one["name"], one["version"], externalReferences=one["externalReferences"])


def of_web_phone() -> Iterator[dict[str, Any]]:
    """Give the libraries that esbuild puts into the web phone; esbuild itself is not in it."""
    for place, package in json.loads(WEB_PHONE.read_text())["packages"].items():
        name = place.removeprefix("node_modules/")
        if name and "esbuild" not in name:
            method, _, digest = package["integrity"].partition("-")
            hashes = [{"alg": method.upper().replace("SHA", "SHA-"), "content": b64decode(digest).hex()}]
            purl = f"pkg:npm/{name}@{package['version']}"
            yield component(purl, name, package["version"], hashes=hashes)


def of_image(archive: Path) -> Iterator[dict[str, Any]]:
    """Give the Debian packages in the image, from its own list of them."""
    with tarfile.open(archive) as outer:
        for blob in (outer.extractfile(member) for member in outer.getmembers() if member.size > NO_LAYER):
            with tarfile.open(fileobj=blob) as layer:
                listed = layer.extractfile(STATUS)
                for paragraph in listed.read().decode().strip().split("\n\n") if listed else ():
                    yield of_debian(paragraph)


def of_debian(paragraph: str) -> dict[str, Any]:
    """Give the entry of one package, from its fields in the list of dpkg."""
    fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
    name, version = fields["Package"], fields["Version"]
    purl = f"pkg:deb/debian/{name}@{quote(version, safe='~')}?arch={fields['Architecture']}"
    return component(purl, name, version)


def complete(listed: Any, image: Path) -> str:
    """Give the whole list, which is valid CycloneDX."""
    listed["components"] = [*of_python(listed), *of_web_phone(), *of_image(image)]
    listed["dependencies"] = [{"ref": "root-component", "dependsOn": [one["bom-ref"] for one in listed["components"]]}]
    text = json.dumps(listed, indent=1, sort_keys=True)
    wrong = JsonStrictValidator(SchemaVersion.from_version(listed["specVersion"])).validate_str(text)
    if wrong:
        raise SystemExit(f"this list is not valid CycloneDX: {wrong}")
    return text


if __name__ == "__main__":
    print(complete(json.load(sys.stdin), Path(sys.argv[1])))
