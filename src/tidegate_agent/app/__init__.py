"""One journey per file, over the ports."""
