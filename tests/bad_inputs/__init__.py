"""What is typed wrong, and what is said about it: one table, run by a test and shown in docs/bad-inputs.md."""
