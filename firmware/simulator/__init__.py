"""Runs the firmware's own files on a PC: a fake board in a physical world that outlives the process."""
