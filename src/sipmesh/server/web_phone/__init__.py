"""The web phone that front ends serve: its files, made by ``tools/web_phone`` from the folder ``web_phone`` of the source."""
