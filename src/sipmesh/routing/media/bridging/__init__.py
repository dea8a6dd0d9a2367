"""Calls between sides whose media are keyed differently: what rtpengine is asked, and what it has answered. No media here."""
