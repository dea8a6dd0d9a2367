"""A phone of PJSIP: a process that takes commands on standard input and logs its SIP messages.

``pjsua_program.py SETTINGS``: the settings are JSON. Each line of standard input is a command, such as ``{"do": "hang_up"}``.
PJSIP may be used by one thread only, so this is no part of a test process.
"""

from __future__ import annotations

import json
import os
import select
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

pj: Any = import_module("pjsua2")  # it has no types

POLL_MS = 20
ECDHE_RSA_AES256_GCM = 0xC030
DEFAULTS = True
LOOPS = True


class PhoneCall(pj.Call):  # type: ignore[misc]
    """One call; the phone keeps it while it is up."""

    def __init__(self, phone: Phone, number: int = -1) -> None:
        super().__init__(phone, number)
        self.phone = phone
        phone.calls.append(self)

    def onCallState(self, _: object) -> None:  # noqa: N802 - the name is of PJSIP
        """Forget a call that has ended."""
        if self.getInfo().state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.phone.calls.remove(self)
            self.phone.ended.append(self)  # PJSIP may not lose it inside its own callback

    def onCallMediaState(self, _: object) -> None:  # noqa: N802 - the name is of PJSIP
        """Talk: play a tone where audio runs. PJSIP sends no silence."""
        told = self.getInfo()  # its parts are lost with it
        if any(media.status == pj.PJSUA_CALL_MEDIA_ACTIVE for media in told.media):
            self.phone.voice.startTransmit(self.getAudioMedia(-1))

    def onCallTransferRequest(self, prm: Any) -> None:  # noqa: N802 - the name is of PJSIP
        """Follow the other side's REFER."""
        prm.newCall = PhoneCall(self.phone)

    def onCallReplaced(self, prm: Any) -> None:  # noqa: N802 - the name is of PJSIP
        """Keep the call that takes the place of this one."""
        prm.newCall = PhoneCall(self.phone, prm.newCallId)


class Phone(pj.Account):  # type: ignore[misc]
    """The account, and what a person does with the phone."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        self.settings = settings
        self.calls: list[PhoneCall] = []
        self.ended: list[PhoneCall] = []
        self.buddies: list[Any] = []
        self.voice = tone()

    def onIncomingCall(self, prm: Any) -> None:  # noqa: N802 - the name is of PJSIP
        """Answer, or ring."""
        answer = pj.CallOpParam()
        answer.statusCode = 200 if self.settings["answers"] else 180
        PhoneCall(self, prm.callId).answer(answer)

    def call(self, uri: str, *, hidden: bool = False) -> None:
        """Call; *hidden*: with privacy."""
        how = pj.CallOpParam(DEFAULTS)
        if hidden:
            how.txOption.localUri = '"Anonymous" <sip:anonymous@anonymous.invalid>'
            how.txOption.headers.append(header("Privacy", "id"))
        PhoneCall(self).makeCall(uri, how)

    def hang_up(self) -> None:
        """End the newest call."""
        self.calls[-1].hangup(pj.CallOpParam())

    def hold(self) -> None:
        """Hold the newest call."""
        self.calls[-1].setHold(pj.CallOpParam())

    def resume(self) -> None:
        """Resume the newest call."""
        how = pj.CallOpParam(DEFAULTS)
        how.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.calls[-1].reinvite(how)

    def dtmf(self, digit: str) -> None:
        """Send a digit in an INFO."""
        how = pj.CallSendDtmfParam()
        how.method, how.digits, how.duration = pj.PJSUA_DTMF_METHOD_SIP_INFO, digit, 160
        self.calls[-1].sendDtmf(how)

    def transfer(self, uri: str) -> None:
        """Transfer the other side to a user."""
        self.calls[-1].xfer(uri, pj.CallOpParam())

    def connect_calls(self) -> None:
        """Transfer the other side of the first call to that of the second."""
        self.calls[0].xferReplaces(self.calls[1], pj.CallOpParam())

    def message(self, uri: str, text: str) -> None:
        """Send a message."""
        buddy = self.buddy(uri, watched=False)
        said = pj.SendInstantMessageParam()
        said.content = text
        buddy.sendInstantMessage(said)

    def watch(self, uri: str) -> None:
        """Subscribe to the presence of a user."""
        self.buddy(uri, watched=True)

    def buddy(self, uri: str, *, watched: bool) -> Any:
        """Add a user to the list of friends."""
        known = pj.BuddyConfig()
        known.uri, known.subscribe = uri, watched
        buddy = pj.Buddy()
        buddy.create(self, known)
        self.buddies.append(buddy)
        return buddy

    def publish(self) -> None:
        """Publish that the user is there."""
        status = pj.PresenceStatus()
        status.status = pj.PJSUA_BUDDY_STATUS_ONLINE
        self.setOnlineStatus(status)

    def received(self) -> str:
        """Say how many packets of audio the newest call has received."""
        return str(self.calls[-1].getStreamStat(0).rtcp.rxStat.pkt)

    def unregister(self) -> None:
        """End the registration."""
        self.setRegistration(False)


def tone() -> Any:
    """Make a tone without end."""
    made, described, tones = pj.ToneGenerator(), pj.ToneDesc(), pj.ToneDescVector()
    described.freq1, described.on_msec, described.off_msec = 440, 1000, 0
    tones.append(described)
    made.createToneGenerator()
    made.play(tones, LOOPS)
    return made


def header(name: str, value: str) -> Any:
    """Make a header field."""
    made = pj.SipHeader()
    made.hName, made.hValue = name, value
    return made


def fill(value: Any, given: dict[str, Any]) -> None:
    """Set the attributes of a structure of PJSUA2 as JSON has them by name; a list of them is appended."""
    for name, one in given.items():
        if isinstance(one, dict):
            fill(getattr(value, name), one)
        elif isinstance(one, list):
            for item in one:
                getattr(value, name).append(credentials(item) if isinstance(item, dict) else item)
        else:
            setattr(value, name, one)


def credentials(given: dict[str, Any]) -> Any:
    """Make credentials with the attributes that JSON has."""
    made = pj.AuthCredInfo()
    fill(made, given)
    return made


def provisioned(settings: dict[str, Any]) -> Any:
    """Write the account of an invitation; where the phone has its sockets is no matter of the account."""
    made = pj.AccountConfig()
    fill(made, settings["provisioned"]["AccountConfig"])
    made.mediaConfig.transportConfig.boundAddress = made.mediaConfig.transportConfig.publicAddress = "127.0.0.1"
    return made


def account(settings: dict[str, Any]) -> Any:
    """Write the account."""
    if "provisioned" in settings:
        return provisioned(settings)
    user, domain, secure = settings["user"], settings["domain"], settings["secure"]
    made = pj.AccountConfig()
    made.idUri = f"sip:{user}@{domain}"
    made.regConfig.registrarUri = f"sip:{domain};transport=tls"
    made.regConfig.timeoutSec, made.regConfig.delayBeforeRefreshSec = settings["expires_s"], 5
    made.sipConfig.proxies.append(f"sip:{settings['server']};transport=tls;lr")
    made.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, settings["password"]))
    made.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_MANDATORY if secure else pj.PJMEDIA_SRTP_DISABLED
    made.mediaConfig.srtpSecureSignaling = 0
    made.mediaConfig.srtpOpt.keyings.append(pj.PJMEDIA_SRTP_KEYING_SDES)
    made.mediaConfig.transportConfig.boundAddress = made.mediaConfig.transportConfig.publicAddress = "127.0.0.1"
    made.presConfig.publishEnabled = settings["publishes"]
    made.mwiConfig.enabled = settings["waiting"]
    return made


def transport(endpoint: Any, settings: dict[str, Any]) -> None:
    """Open the TLS transport, which checks chain and name of a server."""
    made = pj.TransportConfig()
    made.port, made.boundAddress = 0, "127.0.0.1"
    if "provisioned" in settings:
        fill(made, settings["provisioned"]["TransportConfig"])
    else:
        made.tlsConfig.CaListFile, made.tlsConfig.verifyServer = settings["anchor"], True
    if device := settings.get("device"):
        made.tlsConfig.certFile, made.tlsConfig.privKeyFile = device
    if settings.get("rsa_only"):
        made.tlsConfig.ciphers.append(ECDHE_RSA_AES256_GCM)
    endpoint.transportCreate(pj.PJSIP_TRANSPORT_TLS, made)


def start(settings: dict[str, Any]) -> tuple[Any, Phone]:
    """Start PJSIP with one account."""
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt, config.uaConfig.mainThreadOnly = 0, True
    config.uaConfig.userAgent = f"pjsua2/{endpoint.libVersion().full}"
    config.logConfig.level, config.logConfig.consoleLevel, config.logConfig.msgLogging = 5, 5, 1
    endpoint.libInit(config)
    transport(endpoint, settings)
    endpoint.audDevManager().setNullDev()
    endpoint.libStart()
    phone = Phone(settings)
    for codec in settings.get("provisioned", {}).get("codecPriorities", ()):
        with suppress(pj.Error):  # this build has no opus
            endpoint.codecSetPriority(codec["codecId"], codec["priority"])
    phone.create(account(settings))
    return endpoint, phone


def main() -> None:
    """Carry out commands until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # PJSIP logs on standard output
    endpoint, phone = start(json.loads(sys.argv[1]))
    waiting = b""
    while True:
        endpoint.libHandleEvents(POLL_MS)
        if not select.select([0], [], [], 0)[0]:
            continue
        data = os.read(0, 65_536)
        if not data:
            os._exit(0)  # PJSIP asserts where Python still has calls of it
        *lines, waiting = (waiting + data).split(b"\n")
        for line in lines:
            answers.write(f"{json.dumps(carry_out(phone, json.loads(line)))}\n")
            answers.flush()


def carry_out(phone: Phone, asked: dict[str, Any]) -> str:
    """Carry one command out; gives what it returns or "ok", or what was wrong."""
    try:
        return getattr(phone, asked.pop("do"))(**asked) or "ok"
    except pj.Error as wrong:
        return str(wrong.info())
    except IndexError as wrong:
        return f"no call: {wrong}"


if __name__ == "__main__":
    main()
