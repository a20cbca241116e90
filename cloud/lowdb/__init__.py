"""What LowDB files hold, taken over without loss, and given back: see cloud/MOVING.md."""
