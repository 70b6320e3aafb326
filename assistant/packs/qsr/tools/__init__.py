"""The tools of the four specialists, each a typed async function on the store's state."""
