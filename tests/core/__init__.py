"""The pure rules, module by module, without doubles."""
