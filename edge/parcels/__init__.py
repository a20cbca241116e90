"""Files for devices: kept by their SHA-256, offered, and sent piece by piece to those who may have them."""
