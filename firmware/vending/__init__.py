"""The software of a Larder device. Written for MicroPython on the ESP32; the simulator runs the same files."""

VERSION = "0.1.0"
