"""The other side of what a phone does: a peer whose every message the test sees."""

from __future__ import annotations

import re

from sipmesh.client.dialog import Dialog
from sipmesh.sip.message import Request, Response, respond
from support.descriptions import KEY, SDP, put_body
from support.peer import Peer
from support.talking import inside_of

SESSION = "v=0\r\no=- {0} {0} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
SDES = (
    "m=audio 9 RTP/SAVP 0\r\na=rtpmap:0 PCMU/8000\r\na=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:{key}\r\na={way}\r\n"
)
CLEAR = "m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na={way}\r\n"
WEBRTC = (
    "a=group:BUNDLE {mid}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\na=mid:{mid}\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=rtcp-mux\r\n"
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\na=setup:{setup}\r\na={way}\r\n"
)
FACING = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


class OtherSide(Peer):
    """A user who is called, written to and watched by the phone, or does that to the phone. Its media goes nowhere."""

    _version = 0
    _setup = "active"
    """Our side of DTLS (RFC 5763 section 5): the side with the first offer is the server, also in later offers."""

    def describe(self, *, webrtc: bool) -> bytes:
        """Write an offer with encrypted media."""
        self._setup = "passive"
        media = WEBRTC.format(mid="0", setup="actpass", way="sendrecv")
        return self._session(media if webrtc else SDES.format(tag=1, key=KEY, way="sendrecv"))

    def _session(self, media: str) -> bytes:
        self._version += 1
        return (SESSION.format(self._version) + media).encode()

    def answer_to(self, offer: bytes) -> bytes:
        """Write the answer to an offer."""
        text = offer.decode()
        ways = re.findall(r"a=(sendonly|recvonly|inactive)", text)
        way = FACING[ways[0]] if ways else "sendrecv"
        if "SAVPF 111" in text or "a=fingerprint" in text:
            mid = re.findall(r"a=mid:(\S+)", text)
            return self._session(WEBRTC.format(mid=mid[0] if mid else "0", setup=self._setup, way=way))
        tag = re.findall(r"a=crypto:(\d+) AES_CM_128_HMAC_SHA1_80", text)
        return self._session(SDES.format(tag=tag[0], key=KEY, way=way) if tag else CLEAR.format(way=way))

    async def wait(self, method: str) -> Request:
        """Wait for a request of *method*; others are answered with 200, and responses are passed over."""
        while True:
            message = await self.receive()
            if isinstance(message, Request):
                if message.method == method:
                    return message
                if message.method != "ACK":
                    await self.take(message)

    async def final(self, *, method: str = "") -> Response:
        """Wait for the next final response (to *method*); requests that come meanwhile are answered with 200."""
        while True:
            message = await self.receive()
            if isinstance(message, Request):
                if message.method != "ACK":
                    await self.take(message)
            elif message.status >= 200 and method in ("", message.cseq.method):
                return message

    async def outcome(self, request: Request) -> Response:
        """Wait for the final response to *request*."""
        while (found := await self.final()).call_id != request.call_id or found.cseq != request.cseq:
            pass
        return found

    async def take(self, request: Request, status: int = 200) -> None:
        """Answer a request; an offer gets its answer."""
        routes = [("record-route", value) for value in request.values("record-route")]
        made = respond(request, status, headers=[*routes, ("contact", self.contact)], to_tag=self.tag)
        if status == 200 and request.body and request.method in {"INVITE", "UPDATE"}:
            put_body(made, self.answer_to(request.body))
        await self.send(made)

    async def called(self) -> Dialog:
        """Wait for a call, and take it; gives its dialog."""
        invite = await self.wait("INVITE")
        await self.take(invite, 180)
        await self.take(invite)
        await self.wait("ACK")
        return Dialog.of_callee(invite, self.tag)

    def invite(self, uri: str, *, webrtc: bool, sender: str | None = None) -> Request:
        """Make an INVITE with an offer."""
        headers = [("content-type", SDP), *([("privacy", "id")] if sender else [])]
        body = self.describe(webrtc=webrtc)
        return self.request("INVITE", uri, headers, body, sender=sender)

    async def call(self, uri: str, *, webrtc: bool, sender: str | None = None) -> Dialog:
        """Call, and wait until the call is up; gives its dialog."""
        invite = self.invite(uri, webrtc=webrtc, sender=sender)
        await self.send(invite)
        answer = await self.outcome(invite)
        assert answer.status == 200, answer
        dialog = Dialog.of_caller(invite, answer)
        await self.send(inside_of(dialog, self, "ACK"))
        return dialog

    async def end(self, dialog: Dialog) -> None:
        """Hang up."""
        bye = inside_of(dialog, self, "BYE")
        await self.send(bye)
        answer = await self.outcome(bye)
        assert answer.status == 200, answer
