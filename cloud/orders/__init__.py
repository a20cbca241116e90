"""Orders and their vends, as gateways told them."""
