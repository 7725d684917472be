"""Replaying captures: recorded telegrams sent again, in their time or another, and what comes back held against what came then."""
