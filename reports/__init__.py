"""Keeps records of runs, concludes a verdict from them and renders it."""
