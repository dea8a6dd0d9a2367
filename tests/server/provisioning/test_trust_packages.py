"""The packages with our root: each is read by the tool of its kind, and a name of an organisation is no command."""

from __future__ import annotations

import base64
import json
import plistlib
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.server.provisioning.profile import Profile
from sipmesh.server.provisioning.trust_packages import PACKAGES, apple, chromium, der, firefox, linux, pem


def test_each_package_has_the_root(profile: Profile) -> None:
    [root] = profile.roots
    octets = root.public_bytes(Encoding.DER)
    assert x509.load_pem_x509_certificates(pem(profile.roots, "")) == [root]
    assert der(profile.roots, "") == octets
    assert base64.b64decode(json.loads(chromium(profile.roots, ""))["CACertificates"][0]) == octets
    profile_of_apple = plistlib.loads(apple(profile.roots, profile.organisation))
    assert profile_of_apple["PayloadContent"][0]["PayloadContent"] == octets
    assert profile_of_apple == plistlib.loads(apple(profile.roots, profile.organisation))


def test_firefox_reads_the_root_where_the_linux_script_puts_it(profile: Profile, tmp_path: Path) -> None:
    script = linux(profile.roots, profile.organisation)
    environment = {"DESTDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    subprocess.run(["sh", "-s", "--", "--yes"], input=script, env=environment, check=True, capture_output=True)
    [path] = json.loads(firefox(profile.roots, profile.organisation))["policies"]["Certificates"]["Install"]
    installed = [file for file in tmp_path.rglob("*.crt") if file.name == Path(path).name]
    assert [file.read_bytes() for file in installed] == [pem(profile.roots, "")]


@pytest.mark.parametrize("name", ["'; touch owned; '", "$(touch owned)", "`touch owned`", "../../x", "é"])
def test_name_of_an_organisation_is_no_command_and_no_path(profile: Profile, tmp_path: Path, name: str) -> None:
    environment = {"DESTDIR": str(tmp_path / "made"), "PATH": "/usr/bin:/bin"}
    script = linux(profile.roots, name)
    subprocess.run(
        ["sh", "-s", "--", "--yes"], input=script, env=environment, cwd=tmp_path, check=True, capture_output=True
    )
    assert [one.name for one in tmp_path.iterdir()] == ["made"]


def test_packages_are_named_with_their_media_type() -> None:
    assert PACKAGES["root.mobileconfig"][1] == "application/x-apple-aspen-config"
    assert all(Path(name).name == name for name in PACKAGES)
