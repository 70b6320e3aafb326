"""Policies, and the verdict they give on a record."""
