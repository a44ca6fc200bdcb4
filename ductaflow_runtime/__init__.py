"""The runtime behind `ductaflow`: import the public names from there, not from here."""
