"""Draws how a board is wired, from the pin map of its settings: `python -m firmware.diagram settings.json`."""
