"""Programs: thin entry points over the package."""
