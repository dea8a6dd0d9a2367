"""Enrolment by EST and ACME, in the database of management: tokens, accounts, orders, and the certificates that were issued."""
