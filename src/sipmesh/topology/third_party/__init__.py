"""Public CAs of which partners have certificates: what is known of them, and whether this system still trusts them.

What belongs into this package: the presets, which are data with a date (`presets.json`), and the roots of the system.
Fetching, and what the topology says of a partner, are elsewhere.
"""
