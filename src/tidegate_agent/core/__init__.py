"""Pure: values in, values or errors out; no clock, no network, no environment, no log."""
