"""What both ends of the control plane share: signed documents, CRLs, certificate renewal, status reports.

A server verifies documents that management signed, and stores them here. The control links carry documents between servers.
"""
