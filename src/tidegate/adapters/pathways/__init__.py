"""The ways to a private service, one to a module, over one transport that they share."""
