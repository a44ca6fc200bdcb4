"""The template of a notebook's page, and the exporter that fills it."""
