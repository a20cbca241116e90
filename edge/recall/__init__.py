"""What a restored ledger hears again from the cloud of what it had told it."""
