"""The far ends of the dev workspace: real servers on loopback that share no code with Tidegate."""
