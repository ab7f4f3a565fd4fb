"""The outside world, one thing to a module; vendor SDKs are imported here and nowhere else."""
