"""Tools beside the router: captures, replay, simulators, load."""
