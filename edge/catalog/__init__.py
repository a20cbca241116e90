"""Machines, products and planograms as the cloud last told them."""
