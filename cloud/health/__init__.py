"""How devices were: their samples over time. How they are now is the devices' own."""
