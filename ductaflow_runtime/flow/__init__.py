"""A flow's file: read as a notebook, and what its code says."""
