"""Documents made from a spec: for people, for JSON validators, for Wireshark, for diagrams. Texts out; no files here."""
