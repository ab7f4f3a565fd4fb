"""The journeys of a run, one to a module, told in terms of the ports."""
