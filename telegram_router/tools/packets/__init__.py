"""Packet captures: files of packets, the TCP streams in them, and the telegrams in those."""
