"""The gateway: broker, ledger, kiosk and sync of one site, in one process."""
