"""The commands that set an organisation up and run it: init, join, serve, backup, restore, audit."""
