"""What is wrong with a gateway, in plain words."""
