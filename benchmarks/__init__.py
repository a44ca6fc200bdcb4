"""What the project claims about speed, measured: `python -m benchmarks.run` writes RESULTS.md."""
