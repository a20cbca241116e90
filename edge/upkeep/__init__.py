"""Looking after devices from afar: their logs, what a person asks of one, and the settings it shall run on."""
