"""Who is at the other end of a link, and what may it say.

In this room: the evidence of a link, the SIP identities of a certificate, path and revocation checks, the policy of a
link, the judge, its verdict and the words that explain it, which identities a sender may assert, and whether the signer of
a document is believed.

Not in this room: sockets, files, clocks, TLS handshakes and the topology document. Time is an argument, the policy is
handed in, and nothing here keeps what depends on the time.
"""
