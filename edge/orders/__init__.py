"""Orders: what customers asked for, from the tap to the last vend and the last coin."""
