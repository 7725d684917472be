"""Sockets, on trio: the hub and what it drives."""
