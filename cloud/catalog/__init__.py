"""Machines, products and planograms: what is sold where, at which price."""
