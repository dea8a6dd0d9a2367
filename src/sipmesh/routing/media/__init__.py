"""Media policy: whether a session description keeps the media of a call secret. There is no media engine here."""
