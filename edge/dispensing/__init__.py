"""Vends on their way: one open dispense a device, from the committed request to its one outcome."""
