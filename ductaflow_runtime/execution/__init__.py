"""One job to its record: in this process, as a script, or on a real Jupyter kernel."""
