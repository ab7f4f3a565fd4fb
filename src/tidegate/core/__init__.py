"""Pure rules: values go in, values or errors come out; no I/O, no clock, no randomness."""
