"""ESP32 devices: who they are, whether they are there, and the one command each may carry out at a time."""
