"""Cases of other evaluation tools turned into draft cards, one module per format."""
