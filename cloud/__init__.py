"""Larder's cloud: Quart on Postgres, where people manage the fleet and gateways bring their facts."""
