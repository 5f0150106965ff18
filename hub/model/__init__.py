"""Rules and values: no disk, no database, no clock, no network."""
