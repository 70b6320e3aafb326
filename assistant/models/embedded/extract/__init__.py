"""Typed values out of plain words: quantities, dates, choices, names, spans. Every extractor is a pure function of text."""
