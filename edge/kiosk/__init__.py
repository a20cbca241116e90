"""The kiosk: the HTTP API and the page through which customers buy."""
