"""Decommissioning: a machine leaves, and no cent or record is lost with it."""
