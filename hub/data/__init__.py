"""Clinical rules as data files (``hub.rulebook`` reads them)."""
