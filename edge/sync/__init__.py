"""Sync with the cloud: facts and telemetry up, changes down. Everything here may be away for weeks."""
