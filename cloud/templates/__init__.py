"""Templates of machines: what they are made of, to make others like them."""
