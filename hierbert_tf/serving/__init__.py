"""SavedModels that take strings: their signatures, what goes with them, and a client."""
