"""Setups: machines on their way into service."""
