"""sipmesh: SIP servers that trust each other by certificate and topology only."""

__version__ = "0.1.0"
