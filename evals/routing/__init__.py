"""Agent-selection accuracy: data, measurement and robustness."""
