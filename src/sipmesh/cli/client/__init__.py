"""The commands that act as a SIP client: register, message, call."""
