"""One box for all that an operator looks for."""
