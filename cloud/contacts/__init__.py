"""What happened to customers: notes, and the orders they were about."""
