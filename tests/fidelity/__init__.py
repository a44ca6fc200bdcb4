"""Fidelity: the notebook an engine leaves is the one that a Jupyter kernel would have left."""
