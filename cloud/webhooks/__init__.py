"""Webhooks: other systems are told what happens, signed, until they have heard it or a day has gone by."""
