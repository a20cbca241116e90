"""People who asked for help: what is known of them, and who may know it."""
