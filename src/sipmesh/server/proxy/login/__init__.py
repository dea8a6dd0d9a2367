"""Logins of users, here or at another pool: digest authentication, waits after failed logins, and the stores of users."""
