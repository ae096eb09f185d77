"""Model versions: candidate, registry, comparison, promotion and rollback."""
