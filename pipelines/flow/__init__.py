"""Prefect flows: retraining, sweeps, deployments; the only room that knows prefect."""
