"""Who did what, when and from where: an append-only log, a hash chain for each tenant."""
