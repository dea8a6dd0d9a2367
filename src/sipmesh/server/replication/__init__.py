"""What both ends of the control plane share: signed documents, CRLs, certificate renewal, status reports.

A server stores here what management has signed, and verifies it. The control links carry it from server to server.
"""
