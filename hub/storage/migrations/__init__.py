"""The scripts of the schema's history."""
