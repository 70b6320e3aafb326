"""Simulated users: a goal pursued in words that are not fixed beforehand, by a script or by a model."""
