"""Commissioning: what must be seen of new machines before they go into service, and the report that it was."""
