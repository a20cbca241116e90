"""Zones that must stay cold: which are locked, and what is not sold for that."""
