"""Whoever is not there: a host or a client of telegrams, from a scenario or from a capture, with its faults."""
