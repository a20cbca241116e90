"""Money of orders: holding it, earning it, giving it back. Rails `free` and `cash`."""
