"""Logins of users, here, at another pool, or in place of a pool that is gone: digest authentication, waits, stores of users."""
