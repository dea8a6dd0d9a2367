"""The certificates that one server presents: renewal without interruption, moving links to a new one, expiry dates."""
