"""The commands about users: accounts, registrations, failed logins."""
