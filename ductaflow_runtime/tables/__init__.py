"""Small frames that a flow saves beside its results, as files that read back the same."""
