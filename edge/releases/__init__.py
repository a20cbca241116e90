"""Firmware: which release a device shall run, whether it may be believed, when it is offered, what came of it."""
