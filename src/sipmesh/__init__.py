"""sipmesh: SIP servers that trust each other by certificate and topology, and trust nobody else."""

__version__ = "0.1.0"
