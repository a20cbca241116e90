"""What every client needs, whatever the operations: transport, retries, pages, files, errors."""
