"""The Kubernetes far end, spoken to by `kubectl` and over plain HTTP."""
