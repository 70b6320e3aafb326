"""Models as judges: rubrics, verdicts, and how far a verdict may be trusted."""
