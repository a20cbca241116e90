"""Facts up, changes down (shared/sync.py says how they look)."""
