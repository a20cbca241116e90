"""Zones that must stay cold: which are locked, since when, and who released them."""
