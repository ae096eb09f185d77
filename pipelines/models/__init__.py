"""Model versions: candidates, the registry, which one is in service, and the way back."""
