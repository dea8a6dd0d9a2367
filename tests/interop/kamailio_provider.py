"""Kamailio as a provider of telephone numbers, which challenges its customers by digest.

It has a port for customers and another one for the telephone world, whose phones register there without a password.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from interop.kamailio import Server
from sipmesh.demo.ports import free_port
from support.digest_provider import DigestAccount

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
alias="{name}"
listen=tls:127.0.0.1:{customers}
listen=tls:127.0.0.1:{world}
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
loadmodule "auth.so"
loadmodule "tls.so"
modparam("tls", "config", "{folder}/tls.cfg")
modparam("usrloc", "db_mode", 0)
modparam("nathelper|registrar", "received_avp", "$avp(RECEIVED)")
modparam("registrar", "max_expires", 120)
modparam("auth", "algorithm", "{algorithm}")
modparam("auth", "nonce_count", 1)
modparam("auth", "qop", "auth")
modparam("tm", "fr_timer", 5000)
request_route {{
    xlog("L_ALERT", "came $rm $rU port $Rp from $fU [$hdr(Proxy-Authorization)]\\n");
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    force_rport();
    if (is_method("OPTIONS") && $rU == $null) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (is_method("ACK") && !has_totag()) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{
        if (!loose_route()) {{
            if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
            sl_send_reply("404", "Not here"); exit;
        }}
        if ($Rp == {customers}) {{ handle_ruri_alias(); route(RELAY); exit; }}
        $var(ru) = $ru;
        if (!lookup("location", "sip:{user}@{name}")) {{ sl_send_reply("480", "Away"); exit; }}
        $ru = $var(ru);
        route(RELAY); exit;
    }}
    if (is_method("REGISTER")) {{
        if ($Rp == {customers} && !pv_www_authenticate("{realm}", "{password}", "0")) {{ www_challenge("{realm}", "1"); exit; }}
        if ($Rp == {customers}) xlog("L_ALERT", "registered $tU\\n");
        fix_nated_register(); if (!save("location")) sl_reply_error(); exit;
    }}
    if (!is_method("INVITE")) {{ sl_send_reply("405", "Calls only"); exit; }}
    if ($Rp == {customers}) {{
        if (!pv_proxy_authenticate("{realm}", "{password}", "0")) {{ proxy_challenge("{realm}", "1"); exit; }}
        xlog("L_ALERT", "accepted INVITE $rU by $au\\n");
        consume_credentials();
        $fs = "tls:127.0.0.1:{world}";
    }} else {{ $fs = "tls:127.0.0.1:{customers}"; }}
    record_route();
    if ($Rp == {world}) {{
        $var(called) = $tu;
        if (!lookup("location", "sip:{user}@{name}")) {{ sl_send_reply("404", "Not Found"); exit; }}
    }} else {{
        set_contact_alias();
        if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
    }}
    route(RELAY);
}}
route[RELAY] {{ if (is_method("INVITE")) t_on_reply("REPLY"); if (!t_relay()) sl_reply_error(); }}
onreply_route[REPLY] {{ if ($Rp == {world}) set_contact_alias(); }}
"""

TLS = """[server:default]
method = TLSv1.2+
verify_certificate = no
require_certificate = no
private_key = {key}
certificate = {chain}
"""


@dataclass(frozen=True)
class Files:
    """The certificate chain and the key of the provider."""

    chain: Path
    key: Path


class Provider(Server):
    """The provider *name*, with one *account*; it listens for customers on the port *customers*."""

    def __init__(self, folder: Path, name: str, files: Files, account: DigestAccount, customers: int) -> None:
        folder.mkdir(parents=True)
        self.customers, self.world = customers, free_port()
        routes = ROUTES.format(
            folder=folder,
            name=name,
            customers=customers,
            world=self.world,
            user=account.user,
            realm=account.realm,
            password=account.password,
            algorithm=account.algorithm,
        )
        super().__init__(folder, routes, TLS.format(chain=files.chain, key=files.key), customers)
