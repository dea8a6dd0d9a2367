"""The units of the Debian package, the manifests for containers: what can be checked without running them."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version
from ruamel.yaml import YAML

from sipmesh import __version__
from support.checkout import ROOT

PACKAGING = ROOT / "packaging"
METRICS_PORT = 9105
"""The port of `metrics` in the topology of docs/howto/kubernetes.md."""
WITHOUT = {"docs", "kerberos"}
"""Extras that the package has not; that for Kerberos is compiled with Cython, and installed beside a wheel."""
SCRIPTS = sorted(
    path for path in [*PACKAGING.glob("debian/p*"), *(ROOT / "tools/release").iterdir()] if path.suffix != ".py"
)


def read(name: str) -> Any:
    return YAML(typ="safe", pure=True).load(PACKAGING / name)


def pods() -> Iterator[Mapping[str, Any]]:
    for item in read("kubernetes/sipmesh.yaml")["items"]:
        if item["kind"] == "StatefulSet":
            yield item["spec"]["template"]["spec"]


def containers(pod: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    """It checks names, values and the files of the commands: each command stands for an installed one."""
    for unit in (PACKAGING / "systemd").iterdir():
        text = unit.read_text().replace("/usr/bin/sipmesh", "/bin/true")
        (tmp_path / unit.name.replace("@", "@fe1.example.com")).write_text(text)
    units = sorted(str(unit) for unit in tmp_path.iterdir())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False, timeout=60
    )
    assert [line for line in done.stderr.splitlines() if str(tmp_path) in line] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_each_script_can_be_read_by_its_shell(script: Path) -> None:
    shell = script.read_text().splitlines()[0].removeprefix("#!")
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False, timeout=10)
    assert (done.returncode, done.stderr) == (0, "")
    assert script.stat().st_mode & 0o111


def test_removing_the_package_never_removes_the_organisation() -> None:
    for script in PACKAGING.glob("debian/p*"):
        removed = re.findall(r"^\s*(?:rm|find) .*", script.read_text(), re.MULTILINE)
        assert not [line for line in removed if "/var/" in line], script.name


def test_manifests_are_what_kubernetes_takes() -> None:
    """A name or a type that Kubernetes does not know is an error of its schemas, and so is one beside."""
    validator = pytest.importorskip("kubernetes_validate")
    items = read("kubernetes/sipmesh.yaml")["items"]
    for item in items:
        validator.validate(item, "1.37", strict=True)
    wrong = next(item for item in items if item["kind"] == "StatefulSet")
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(validator.ValidationError, match="readinesProbe"):
        validator.validate(wrong, "1.37", strict=True)


def test_each_pod_has_probes_that_ask_its_own_port_of_metrics() -> None:
    for pod in pods():
        for container in pod["containers"]:
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            assert container["readinessProbe"]["httpGet"] == {"path": "/health", "port": "metrics"}
            assert container["livenessProbe"]["httpGet"] == {"path": "/metrics", "port": "metrics"}
            assert container["startupProbe"]["httpGet"] == {"path": "/metrics", "port": "metrics"}
            assert ports["metrics"] == METRICS_PORT


def test_containers_have_no_rights() -> None:
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        for container in containers(pod):
            contained = container["securityContext"]
            assert contained["readOnlyRootFilesystem"]
            assert not contained["allowPrivilegeEscalation"]
            assert contained["capabilities"] == {"drop": ["ALL"]}
    for service in read("oci/compose.yaml")["services"].values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]


def test_containers_are_given_the_time_that_a_server_takes_to_stop() -> None:
    unit = (PACKAGING / "systemd/sipmesh@.service").read_text()
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert all(pod["terminationGracePeriodSeconds"] >= int(seconds) for pod in pods())
    assert all(service["stop_grace_period"] == "30s" for service in read("oci/compose.yaml")["services"].values())


def test_every_place_names_the_newest_release() -> None:
    """Between two releases too: the files of a version between them are nowhere."""
    newest = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    images = {container["image"] for pod in pods() for container in containers(pod)}
    images |= {service["image"] for service in read("oci/compose.yaml")["services"].values()}
    assert images == {f"sipmesh:{newest}"}
    for page in ("README.md", "SECURITY.md", "docs/howto/install.md", "docs/howto/kubernetes.md"):
        named = re.findall(r"\b(?:sipmesh[_-]|tag -v v)(\d+\.\d+\.\d+)", (ROOT / page).read_text())
        assert set(named) == {newest}, page
    (version,) = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version == newest or (version.endswith(".dev0") and Version(version) > Version(newest))
    assert version == __version__


def test_package_and_image_install_what_their_compiled_library_is_linked_with() -> None:
    """Only python-ldap is compiled: the other libraries are wheels that bring what they need."""
    assert re.search(
        r"^python-ldap==\S+ \\\n +--hash=sha256:\w{64}\n", (PACKAGING / "requirements.txt").read_text(), re.MULTILINE
    )
    (depends,) = re.findall(r"^Depends: (.*)$", (PACKAGING / "debian/control").read_text(), re.MULTILINE)
    assert "libldap2" in re.split(r",\s*", depends)
    (packages,) = re.findall(r"--include=(\S+)", (ROOT / "tools/release/image").read_text())
    assert "libldap2" in packages.split(",")
    (tried,) = re.findall(r"^system deb (.+)$", (ROOT / "tools/release/try").read_text(), re.MULTILINE)
    assert "libldap2" in tried.split()  # its network reaches no mirror


def test_libraries_of_the_package_have_hashes_and_the_bounds_of_the_project() -> None:
    locked = (PACKAGING / "requirements.txt").read_text()
    names = {name.lower().replace("_", "-") for name in re.findall(r"^([\w.-]+)==", locked, re.MULTILINE)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: wanted for name, wanted in project["optional-dependencies"].items() if name not in WITHOUT}
    wanted = [re.split(r"[^\w.-]", one)[0] for one in chain(project["dependencies"], *extras.values())]
    assert {re.sub(r"[_.]", "-", name.lower()) for name in wanted} <= names
    assert len(re.findall(r"^[\w.-]+==", locked, re.MULTILINE)) <= locked.count("--hash=sha256:")
    assert "://" not in locked
