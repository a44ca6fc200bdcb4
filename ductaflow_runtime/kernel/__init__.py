"""A Jupyter kernel without sockets: shell, cells, capture, outputs, log, interrupts, shutdown."""
