"""Drives load against a served assistant and measures time honestly."""
