"""The contract between gateway, cloud and devices: messages, facts, topics, errors. No I/O, no settings."""
