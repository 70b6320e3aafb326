"""Alembic migrations of the store. `HEAD` is the newest revision; a test holds it to the folder."""

HEAD = "0001"
