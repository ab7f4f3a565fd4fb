"""Where the program begins: listeners, the command line, and the wiring of it all."""
