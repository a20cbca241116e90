"""Sheets: what a person takes to a site, so that gateway and devices come in there."""
