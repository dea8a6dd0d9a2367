"""The certificates that one server presents: renewal without interruption, links that move to the new one, expiry dates."""
