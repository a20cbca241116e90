"""Pages for operators. They call services, never models."""
