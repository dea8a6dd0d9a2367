"""Enrolment by standard protocols, EST and ACME, over the HTTPS server of management.

Names and usages come from the topology. What belongs here: who may be enrolled, tokens, and both protocols. What does not:
how a certificate is signed (`pki`), and how a server of ours joins or renews over its own links (`server.management`).
"""
