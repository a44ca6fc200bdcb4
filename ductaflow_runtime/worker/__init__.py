"""Processes that execute instances: the pool in the parent, the worker, its children."""
