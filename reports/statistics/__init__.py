"""Intervals, exact tests and sample sizes: pure functions that return estimates with their evidence."""
