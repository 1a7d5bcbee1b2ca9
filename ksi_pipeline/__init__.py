"""Retail space analytics in batches: camera chunks and tickets in, measured conversion out."""

__version__ = "0.1.0"
