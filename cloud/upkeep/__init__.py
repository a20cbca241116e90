"""Looking after devices from afar: what people ask of them, and the settings they shall run on."""
