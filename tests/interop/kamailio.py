"""A real server of another make: Kamailio as a partner's edge with its own CA and users, and as a trunk of ours."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from sipmesh.demo.forge import Forged
from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import free_port
from sipmesh.server.process.fork_server import die_with_parent
from sipmesh.trust.evidence import LinkKind
from support.programs import ended

PATIENCE_S = 20.0

ROUTES = """#!KAMAILIO
debug=1
log_stderror=yes
children=1
tcp_children=2
enable_tls=yes
auto_aliases=no
dns=no
rev_dns=no
use_dns_cache=no
tcp_connect_timeout=5
alias="partner.test"
listen=tls:127.0.0.1:{partner}
listen=tls:127.0.0.1:{clients}
loadmodule "kex.so"
loadmodule "corex.so"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "nathelper.so"
loadmodule "tls.so"
modparam("tls", "config", "{folder}/tls.cfg")
modparam("tls", "xavp_cfg", "tls")
modparam("usrloc", "db_mode", 0)
modparam("nathelper|registrar", "received_avp", "$avp(RECEIVED)")
modparam("tm", "fr_timer", 5000)
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    force_rport();
    if (is_method("OPTIONS") && uri == myself && $rU == $null) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{
            if ($Rp == {clients} && $du != $null) route(TO_US); else handle_ruri_alias();
            route(RELAY); exit;
        }}
        if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
        sl_send_reply("404", "Not here"); exit;
    }}
    if (is_method("REGISTER")) {{ fix_nated_register(); if (!save("location")) sl_reply_error(); exit; }}
    if ($rd == "partner.test") $fs = "tls:127.0.0.1:{clients}"; else $fs = "tls:127.0.0.1:{partner}";
    if (is_method("INVITE")) {{ record_route(); if ($Rp == {clients}) set_contact_alias(); }}
    if ($rd == "partner.test") {{
        if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
        route(RELAY); exit;
    }}
    route(TO_US);
    route(RELAY);
}}
route[TO_US] {{ # without DNS the way to our edge is written down here
    $fs = "tls:127.0.0.1:{partner}";
    $du = "sip:127.0.0.1:{edge};transport=tls";
    $xavp(tls=>server_name) = "sip.example.test";
}}
route[RELAY] {{ if (is_method("INVITE")) t_on_reply("REPLY"); if (!t_relay()) sl_reply_error(); }}
onreply_route[REPLY] {{ if ($Rp == {clients}) set_contact_alias(); }}
"""

TLS = """[server:default]
method = TLSv1.2+
verify_certificate = no
require_certificate = no
private_key = {folder}/edge.key
certificate = {folder}/edge.pem
[server:127.0.0.1:{partner}]
method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
private_key = {folder}/edge.key
certificate = {folder}/edge.pem
ca_list = {anchor}
[client:default]
method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
private_key = {folder}/edge.key
certificate = {folder}/edge.pem
ca_list = {anchor}
"""


TRUNK = """#!KAMAILIO
debug=1
log_stderror=yes
children=1
tcp_children=1
enable_tls=yes
auto_aliases=no
dns=no
rev_dns=no
use_dns_cache=no
alias="{name}"
listen=tls:127.0.0.1:{port}
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "auth.so"
loadmodule "tls.so"
modparam("tls", "config", "{folder}/tls.cfg")
request_route {{
    xlog("L_ALERT", "asked $rm $rU [$hdr(Authorization)] [$hdr(Proxy-Authorization)]\\n");
    if (is_method("ACK")) exit;
    if (has_totag()) {{ xlog("L_ALERT", "inside $rm $rU\\n"); sl_send_reply("200", "OK"); exit; }}
    if ($rU == "by407") {{
        if (!pv_proxy_authenticate("trunk.test", "{password}", "0")) {{ proxy_challenge("trunk.test", "1"); exit; }}
    }} else if ($rU == "by401") {{
        if (!pv_www_authenticate("trunk.test", "{password}", "0")) {{ www_challenge("trunk.test", "1"); exit; }}
    }} else {{
        if (!pv_www_authenticate("example.test", "{password}", "0")) {{ www_challenge("example.test", "1"); exit; }}
    }}
    xlog("L_ALERT", "accepted $rm $rU\\n");
    if (is_method("INVITE")) {{
        append_to_reply("Contact: <sip:$rU@{name}:{port};transport=tls>\\r\\n");
        set_reply_body("{sdp}", "application/sdp");
    }}
    sl_send_reply("200", "OK");
}}
"""

NO_AUDIO = (
    "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", "m=audio 9 RTP/SAVP 0",
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz", "",
)  # fmt: skip

TRUNK_TLS = """[server:default]
method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
private_key = {key}
certificate = {chain}
ca_list = {anchor}
"""


class Server:
    """A Kamailio with a configuration of its own, in *folder*; it listens on the port *listens*, among others."""

    def __init__(self, folder: Path, routes: str, tls: str, listens: int) -> None:
        self.folder, self.listens = folder, listens
        (folder / "kamailio.cfg").write_text(routes)
        (folder / "tls.cfg").write_text(tls)

    @property
    def log(self) -> str:
        """What it printed."""
        return (self.folder / "log").read_text(errors="replace")

    async def __aenter__(self) -> Self:
        with (self.folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                "kamailio", "-DD", "-E", "-f", str(self.folder / "kamailio.cfg"), "-Y", str(self.folder),
                "-P", str(self.folder / "pid"), "-m", "64", "-M", "8",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=die_with_parent,
            )  # fmt: skip
        async with asyncio.timeout(PATIENCE_S):
            await self._until_listening()
        return self

    async def _until_listening(self) -> None:
        while True:
            if self._process.returncode is not None:
                raise RuntimeError(f"Kamailio ended:\n{self.log}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.listens)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return

    async def __aexit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        await ended(self._process)


class Kamailio(Server):
    """One edge of partner.test; it shows *credentials*, and trusts *anchor* for its links to us."""

    def __init__(self, folder: Path, credentials: Forged, anchor: Path, edge_port: int, partner_port: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.partner_port, self.client_port = partner_port or free_port(), free_port()
        credentials.write(folder, "edge")
        ports = {"partner": self.partner_port, "clients": self.client_port, "edge": edge_port}
        tls = TLS.format(folder=folder, anchor=anchor, **ports)
        super().__init__(folder, ROUTES.format(folder=folder, **ports), tls, self.client_port)


class Trunk(Server):
    """An application of ours that asks for credentials; the user part of the Request-URI says how.

    ``by401`` and ``by407`` challenge in the realm of the trunk, ``ours`` in that of example.test. It logs every credentials
    that arrive, and answers a call with audio that leads nowhere.
    """

    def __init__(self, folder: Path, organisation: Organisation, name: str, password: str) -> None:
        folder.mkdir(parents=True)
        chain, key = organisation.credentials(name)
        port = organisation.ports[name][LinkKind.SERVER]
        given = {"folder": folder, "name": name, "port": port, "password": password, "sdp": r"\r\n".join(NO_AUDIO)}
        tls = TRUNK_TLS.format(chain=chain, key=key, anchor=organisation.root)
        super().__init__(folder, TRUNK.format(**given), tls, port)
