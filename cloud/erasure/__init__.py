"""How customers are forgotten: on request, by the clock, and once more in a restored backup."""
