"""Stock: movements that gateways told and people asked for, and their sum."""
