"""Plans, plays and judges scenario cards, agent selection and releases."""
