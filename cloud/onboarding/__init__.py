"""Tenants, their sites, and the claim by which a gateway finds its place."""
