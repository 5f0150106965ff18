"""Measurements in, cautious statements out. Pure: rule tables are passed in, nothing is read from disk.

``facts`` names what the rules ask about, ``conditions`` is their small language, ``engine`` walks the tables,
``critical`` marks what a rule pack calls critical, ``serial`` compares two recordings of one patient.
Every statement is a suggestion to a person, never a diagnosis.
"""
