"""The only door to `runs/`: records, instances, their files."""
