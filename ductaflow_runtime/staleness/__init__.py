"""Why an instance must run: what an execution read and imported, and whether that still holds."""
