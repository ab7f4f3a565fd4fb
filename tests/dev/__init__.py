"""The far ends of the dev workspace, each spoken to as its real counterpart would be."""
