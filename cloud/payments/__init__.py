"""Payments and inserted credit, as gateways told them."""
