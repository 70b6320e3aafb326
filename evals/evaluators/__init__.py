"""Checks of a transcript against its card, each a pydantic-evals evaluator."""
