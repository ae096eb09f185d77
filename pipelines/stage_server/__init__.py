"""A process that has loaded what stages import, and forks for each of them."""
