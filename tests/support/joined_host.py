"""A Linux host of a domain: programs that join it read and write a copy of `/etc`, and see the name server of the domain."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from support.enrolling import run

if TYPE_CHECKING:
    from support.samba_ad import SambaAd

NAMESPACE: Final = ("unshare", "--mount", "--uts")
DOMAIN: Final = "corp.test"
KERBEROS: Final = """[libdefaults]
default_realm = CORP.TEST
rdns = false
dns_canonicalize_hostname = false
"""
ROOTS: Final = "/usr/local/share/ca-certificates"


class JoinedHost:
    """The host *name* of the domain of *samba*; *known* are names of other servers, which run on this machine."""

    def __init__(self, folder: Path, name: str, samba: SambaAd, known: Sequence[str]) -> None:
        require_namespace()
        self.folder, self._name = folder, name
        self._etc, self._roots = folder / "etc", folder / "roots"
        self._roots.mkdir(parents=True)
        subprocess.run(("cp", "-a", "/etc/.", str(self._etc)), check=True)
        for file in ("resolv.conf", "krb5.conf", "krb5.keytab", "hosts"):
            (self._etc / file).unlink(missing_ok=True)
        (self._etc / "sssd").mkdir(exist_ok=True)  # the package has it
        (self._etc / "resolv.conf").write_text(f"nameserver {samba.address}\nsearch {DOMAIN}\n")
        (self._etc / "krb5.conf").write_text(KERBEROS)
        (self._etc / "hosts").write_text(f"127.0.0.1 localhost {' '.join(known)}\n")

    async def type(self, script: str, **environment: str) -> tuple[int, str]:
        """Run a script on the host; gives its exit code, and what it wrote."""
        (self.folder / "script").write_text(f"set -euo pipefail\n{script}\n")
        mounts = (
            f"mount --bind {self._etc} /etc && mount --bind {self._roots} {ROOTS} && hostname {self._name}.{DOMAIN}"
        )
        return await run(*NAMESPACE, "sh", "-c", f"{mounts} && exec bash script", cwd=self.folder, **environment)

    async def runs(self, script: str, **environment: str) -> str:
        """Run a script that must succeed; gives what it wrote."""
        code, out = await self.type(script, **environment)
        assert code == 0, out
        return out


def require_namespace() -> None:
    """Skip a test where a container forbids mount namespaces; in CI that is a failure, as a missing peer is."""
    if subprocess.run((*NAMESPACE, "true"), capture_output=True, check=False).returncode:
        reason = "a host that joins a domain needs a mount namespace for its /etc (unshare --mount --uts, as root)"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
