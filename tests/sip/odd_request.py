"""A request that is written as oddly as the grammar allows."""

HEAD = b"""OPTIONS sip:bob@example.test SIP/2.0
Via: SIP/2.0/TLS a.example;branch=z9hG4bK1 , SIP/2.0/TLS b.example;branch=z9hG4bK2
v:  SIP/2.0/TLS
 c.example;branch=z9hG4bK3
Max-Forwards: 0070
From: "A" <sip:a@example.test>;tag=1
t : <sip:bob@example.test>
Route: <sip:one;lr>,  <sip:a,b@two;lr>
Route: <sip:three;lr>
Call-ID: x@y
CSeq: 7 OPTIONS
Subject: caf\xc3\xa9 \xff
Supported:
X-Odd:  kept   as it is\x20
l: 0""".replace(b"\n", b"\r\n")


CANONICAL = (
    HEAD.replace(b"TLS\r\n c.example", b"TLS c.example")
    .replace(b"Max-Forwards: 0070", b"Max-Forwards: 70")
    .replace(b"t : ", b"t: ")
    .replace(b"l: 0", b"Content-Length: 0")
)
"""What goes out: no fold, no blank before a colon, and one spelling of each number that decides a boundary."""
