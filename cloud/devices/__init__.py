"""Devices: which are expected, which have claimed themselves, how they are."""
