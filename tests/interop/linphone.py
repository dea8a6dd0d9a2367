"""A real phone of another make: Debian's linphone as a daemon, driven over its socket (a line a command, text back)."""

from __future__ import annotations

import asyncio
import os
import re
import wave
from pathlib import Path
from types import TracebackType
from typing import Self

from interop.hosts_file import with_hosts
from sipmesh.server.process.fork_server import die_with_parent

PATIENCE_S = 20.0
LOOK_AGAIN_S = 0.05
ANSWER_BYTES = 65_536
RATE_HZ, SAID_S = 8_000, 10
AUDIO_KBIT_S = 5.0
"""Below this, there are only STUN keepalives."""
RATES = 2
_RATES = re.compile(r"\(audio\).*?RTP : \[d=([0-9.]+),u=([0-9.]+)\]")
"""What its log says each second: the kilobits per second that come down, and go up."""
_COUNTED = re.compile(r"- (sent|received) +[0-9]+ packets\n.*\n.*- +([0-9]+) bytes")
"""What its log says at the end of a call, on three lines for each direction."""

CONFIG = """\
[sip]
sip_port=-1
sip_tcp_port=-1
sip_tls_port=-1
verify_server_certs=1
verify_server_cn=1
root_ca={anchor}
use_ipv6=0
media_encryption={media}
media_encryption_mandatory={secure:d}
use_info=1
use_rfc2833=0
default_proxy=0
guess_hostname=0
register_only_when_network_is_up=0
{device}[net]
firewall_policy={policy}
dns_srv_enabled=0
[rtp]
audio_rtp_port=-1
[proxy_0]
reg_proxy=<sip:{server};transport=tls>
reg_route=<sip:{server};transport=tls>
reg_identity=sip:{user}@{domain}
reg_expires={expires_s}
reg_sendregister=1
publish={publishes:d}
{account}[auth_info_0]
username={user}
userid={login}
passwd={password}
realm={domain}
{friend}"""

FRIEND = """\
[friend_0]
url={address}
pol=accept
subscribe=1
"""


class Linphone:
    """One phone with one account, which sends everything by *server* (its preloaded Route) and answers calls by itself.

    No setting of it names a DNS server or a hosts file, so it sees a hosts file of its own in a mount namespace of its own.
    """

    def __init__(
        self,
        folder: Path,
        user: str,
        password: str,
        domain: str,
        server: str,
        *,
        anchor: Path,
        media: str = "srtp",
        ice: bool = False,
        answers: bool = True,
        publishes: bool = False,
        expires_s: int = 600,
        friend: str = "",
        account: str = "",
        login: str = "",
        device: tuple[Path, Path] | None = None,
    ) -> None:
        (folder / ".local/share/linphone").mkdir(parents=True)  # where it keeps its databases, and does not make it
        self.folder, self.user, self.domain = folder, user, domain
        self._socket, self._answers, self._server = folder / "s", answers, server
        self._began = 0  # where its log was when it began to talk
        config = CONFIG.format(
            anchor=anchor, user=user, password=password, domain=domain, server=server, media=media, expires_s=expires_s,
            secure=media != "none", policy="ice" if ice else "nopolicy", publishes=publishes, account=account,
            login=login or user,
            device=f"client_cert_chain={device[0]}\nclient_cert_key={device[1]}\n" if device else "",
            friend=friend and FRIEND.format(address=friend),
        )  # fmt: skip
        (folder / "rc").write_text(config)

    def names(self) -> tuple[str, ...]:
        """Give the names that the hosts file of its machine has."""
        return (self._server.partition(":")[0],)

    @property
    def log(self) -> str:
        """All that it has logged, SIP messages included."""
        return (self.folder / "log").read_text(errors="replace")

    async def __aenter__(self) -> Self:
        command = f"linphone-daemon --pipe {self._socket} --config {self.folder}/rc --log {self.folder}/log"
        command += " --auto-answer" if self._answers else ""
        with (self.folder / "out").open("wb") as out:
            self._process = await asyncio.create_subprocess_exec(
                *with_hosts(self.folder, command, *self.names()),
                stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=die_with_parent,
                env={**os.environ, "HOME": str(self.folder)}, cwd=self.folder,
            )  # fmt: skip
        async with asyncio.timeout(PATIENCE_S):
            self._reader, self._writer = await self._connect()
        return self

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            try:
                return await asyncio.open_unix_connection(self._socket)
            except OSError:
                if self._process.returncode is not None:
                    raise RuntimeError(f"linphone ended:\n{(self.folder / 'out').read_text()}") from None
                await asyncio.sleep(LOOK_AGAIN_S)

    async def __aexit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._writer.close()
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def command(self, command: str) -> str:
        """Give a command and return its answer."""
        self._writer.write(f"{command}\n".encode())
        async with asyncio.timeout(PATIENCE_S):
            return (await self._reader.read(ANSWER_BYTES)).decode(errors="replace")

    async def says(self, text: str, command: str) -> None:
        """Ask with *command* until the answer holds *text*."""
        async with asyncio.timeout(PATIENCE_S):
            while text not in await self.command(command):
                await asyncio.sleep(LOOK_AGAIN_S)

    async def talk(self) -> None:
        """Play a file until audio goes out: it sends none without a microphone. Media are SRTP, or do not run.

        The first rate of a new call can be that of a few packets in a moment.
        """
        said, self._began = silence(self.folder / "said.wav"), len(self.log)
        async with asyncio.timeout(PATIENCE_S):
            while sum(up > AUDIO_KBIT_S for _, up in self._rates()) < RATES:
                await self.command(f"incall-player-start {said}")
                await asyncio.sleep(1)

    async def hears(self) -> None:
        """Wait until audio has come since it talks. ``call-stats`` would say how much, but it ends the daemon of 5.3.105."""
        async with asyncio.timeout(PATIENCE_S):
            while not any(down > AUDIO_KBIT_S for down, _ in self._rates()):
                await asyncio.sleep(LOOK_AGAIN_S)

    def counted(self) -> dict[str, int]:
        """Give the octets of audio that were ``sent`` and ``received`` in the call that has ended last, as its log says."""
        return {direction: int(octets) for direction, octets in _COUNTED.findall(self.log)}

    def _rates(self) -> list[tuple[float, float]]:
        """Give the rates since it talks: down and up, in kilobits per second."""
        return [(float(down), float(up)) for down, up in _RATES.findall(self.log[self._began :])]

    async def registered(self) -> None:
        """Wait until the account is registered."""
        await self.says("LinphoneRegistrationOk", "register-status ALL")


def silence(path: Path) -> Path:
    """Write a file of sound, some seconds long."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(bytes(2 * RATE_HZ * SAID_S))
    return path
