"""Users log in: digest authentication, waits after failed logins, remembered failures, and where users are at home."""
