"""Configs: strict JSON at the border, read from files, laid over what all rows share."""
