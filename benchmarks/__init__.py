"""Measurements that anyone can repeat; each module is a program: python -m benchmarks.<name> --help."""
