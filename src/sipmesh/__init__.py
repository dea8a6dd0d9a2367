"""sipmesh: SIP servers that trust each other by certificate and topology only."""

__version__ = "0.2.0.dev0"
