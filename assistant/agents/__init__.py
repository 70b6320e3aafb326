"""The specialists of a pack: how they are built, what they are told, how their tools and models are run."""
