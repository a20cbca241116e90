"""Sums of sales by the hour and the day, kept as facts come in: what charts are made of."""
