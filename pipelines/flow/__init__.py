"""Prefect flows: retraining, sweeps, deployments; the only package that imports prefect."""
