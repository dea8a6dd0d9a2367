"""Logins of users: digest authentication, waits after failed logins, recorded failures, and the stores of users."""
