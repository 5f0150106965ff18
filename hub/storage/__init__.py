"""Rows and bytes, and the promises they keep."""
