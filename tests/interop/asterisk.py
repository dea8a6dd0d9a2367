"""A real PBX: Asterisk 22 (PJSIP), as a trunk by mutual TLS, or as a provider that challenges by digest.

Debian stable has no Asterisk. `tools/peers` makes a folder with that of Debian sid, whose programs run by its own loader.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sipmesh.server.process.fork_server import die_with_parent
from support.commands import PEER_ROOT
from support.programs import ended

PATIENCE_S = 40.0
LIBRARIES = PEER_ROOT / "usr/lib/x86_64-linux-gnu"
PROGRAM = (
    str(PEER_ROOT / "lib64/ld-linux-x86-64.so.2"),
    "--library-path",
    str(LIBRARIES),
    str(PEER_ROOT / "usr/sbin/asterisk"),
)

FILES = {
    "asterisk.conf": """\
[directories]
astcachedir => {folder}/cache
astetcdir => {folder}/etc
astmoddir => {modules}
astvarlibdir => {folder}/lib
astdbdir => {folder}/lib
astkeydir => {folder}/lib
astdatadir => {data}
astagidir => {folder}/lib
astspooldir => {folder}/spool
astrundir => {folder}/run
astlogdir => {folder}/log
[options]
verbose = 5
""",
    "modules.conf": """\
[modules]
autoload=yes
noload => chan_iax2.so
noload => chan_unistim.so
noload => chan_console.so
noload => chan_websocket.so
noload => pbx_dundi.so
noload => pbx_ael.so
noload => pbx_lua.so
noload => res_prometheus.so
noload => app_queue.so
""",
    "logger.conf": "[general]\n[logfiles]\nfull => notice,warning,error,verbose,dtmf\n",
    "rtp.conf": "[general]\nrtpstart={rtp}\nrtpend={rtp_end}\n",
    "resolver_unbound.conf": "[general]\nhosts = {folder}/etc/hosts\n",
    "hosts": "127.0.0.1 {gateway_name}\n",
    "pjsip.conf": """\
[tls]
type=transport
protocol=tls
bind=127.0.0.1:{port}
method=tlsv1_2
cert_file={chain}
priv_key_file={key}
ca_list_file={anchor}
verify_server=yes
verify_client={verify}
require_client_cert={verify}

[sipmesh]
type=endpoint
transport=tls
context=from-sipmesh
aors={aor}
from_domain={name}
media_encryption=sdes
disallow=all
allow=alaw,ulaw
trust_id_inbound=yes
send_pai=yes
rtp_symmetric=yes
media_address=127.0.0.1
bind_rtp_to_media_address=yes
timers=yes
{endpoint}
[sipmesh]
type=identify
endpoint=sipmesh
match=127.0.0.1
{more}""",
    "extensions.conf": """\
[out]
exten => _+X.,1,Set(CALLERID(num)={caller})
 same => n,Dial(PJSIP/${{EXTEN}}@sipmesh,60)
 same => n,NoOp(ENDED ${{DIALSTATUS}} ${{HANGUPCAUSE}})
 same => n,Hangup(${{HANGUPCAUSE}})
exten => _*67+X.,1,Set(CALLERID(num)={caller})
 same => n,Set(CALLERID(pres)=prohib)
 same => n,Dial(PJSIP/${{EXTEN:3}}@sipmesh,60)
 same => n,Hangup(${{HANGUPCAUSE}})
exten => _*99+X.,1,Set(CALLERID(num)=+491705550199)
 same => n,Dial(PJSIP/${{EXTEN:3}}@sipmesh,60)
 same => n,NoOp(FOREIGN ${{DIALSTATUS}} ${{HANGUPCAUSE}})
 same => n,Hangup(${{HANGUPCAUSE}})

[from-sipmesh]
exten => _+4930X.,1,Goto(out,${{EXTEN}},1)
exten => _+X.,1,NoOp(CAME ${{CALLERID(num)}} PRES ${{CALLERID(pres)}} TO ${{EXTEN}})
 same => n,GotoIf($["${{EXTEN:-2}}" = "11"]?busy)
 same => n,GotoIf($["${{EXTEN:-2}}" = "12"]?early)
 same => n,GotoIf($["${{EXTEN:-2}}" = "13"]?digits)
 same => n,GotoIf($["${{EXTEN:-2}}" = "14"]?hangs)
 same => n,GotoIf($["${{EXTEN:-2}}" = "15"]?bridged)
 same => n,Answer()
 same => n,Echo()
 same => n(busy),Hangup(17)
 same => n(early),Progress()
 same => n,Wait(1)
 same => n,Answer()
 same => n,Echo()
 same => n(digits),Answer()
 same => n,Read(got,,4,,1,8)
 same => n,NoOp(DIGITS ${{got}})
 same => n,Hangup()
 same => n(hangs),Answer()
 same => n,Wait(1)
 same => n,Hangup()
 same => n(bridged),Dial(Local/+4989123410@from-sipmesh/n,30)
 same => n,Hangup()
""",
}
"""The last two digits of a number say what happens: 11 is busy, 12 has early media, 13 reads digits,
14 hangs up, 15 calls 10. Others echo."""

BY_CERTIFICATE = """\
[sipmesh]
type=aor
contact=sip:{gateway_name}:{gateway_port}\\;transport=tls
qualify_frequency=2
"""

BY_DIGEST = """\
auth={user}
identify_by=auth_username,username,ip
[{user}]
type=auth
auth_type=digest
username={user}
password={password}
realm={realm}
supported_algorithms_uas={algorithm}
[{user}]
type=aor
max_contacts=1
remove_existing=yes
"""


class Asterisk:
    """One Asterisk in *folder* that listens on *port*; *settings* are the placeholders of `FILES`."""

    def __init__(self, folder: Path, port: int, **settings: Any) -> None:
        self.folder, self.port = folder, port
        for name in ("etc", "lib", "spool", "run", "log", "cache"):
            (folder / name).mkdir(parents=True)
        given = {
            "folder": folder,
            "port": port,
            "data": PEER_ROOT / "usr/share/asterisk",
            "modules": LIBRARIES / "asterisk/modules",
        }
        for name, text in FILES.items():
            (folder / "etc" / name).write_text(text.format(**given, **settings))

    @property
    def log(self) -> str:
        """What it has logged."""
        file = self.folder / "log" / "full"
        return file.read_text(errors="replace") if file.exists() else ""

    async def __aenter__(self) -> Self:
        self._console = (self.folder / "console").open("wb")
        self._process = await asyncio.create_subprocess_exec(
            *PROGRAM, "-f", "-C", str(self.folder / "etc/asterisk.conf"),
            stdin=asyncio.subprocess.DEVNULL, stdout=self._console, stderr=self._console, start_new_session=True,
            preexec_fn=die_with_parent, env={**os.environ, "HOME": str(self.folder)},
        )  # fmt: skip
        await self.logged("Asterisk Ready")
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        await ended(self._process)
        self._console.close()

    async def restarts(self) -> None:
        """Start it again, and wait until the gateway has answered it."""
        await self.__aexit__(None, None, None)
        (self.folder / "log" / "full").unlink()
        await self.__aenter__()
        async with asyncio.timeout(PATIENCE_S):
            while " Avail " not in await self.command("pjsip show contacts"):
                await asyncio.sleep(0.5)

    async def logged(self, text: str) -> None:
        """Wait until it has logged *text*."""
        async with asyncio.timeout(PATIENCE_S):
            while text not in self.log:
                if self._process.returncode is not None:
                    raise RuntimeError(
                        f"Asterisk ended:\n{(self.folder / 'console').read_text(errors='replace')[-2000:]}"
                    )
                await asyncio.sleep(0.05)

    async def command(self, text: str) -> str:
        """Give what a command of its console prints."""
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, "-C", str(self.folder / "etc/asterisk.conf"), "-rx", text,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(PATIENCE_S):
            out, _ = await process.communicate()
        return out.decode(errors="replace")

    async def calls(self, number: str) -> None:
        """Call a number through the gateway; the other end of the call is an echo."""
        await self.command(f"channel originate Local/{number}@out application Echo")
