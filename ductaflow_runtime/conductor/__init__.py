"""What the conductor calls: plan, run, and the frame of what became of it."""
