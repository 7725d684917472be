"""Route fixed-byte banking telegrams: TCP in, services out, one declarative spec behind it all."""

__version__ = "0.1.0"
