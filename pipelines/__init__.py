"""What drives the stages: the `naslora` command, the DVC runner and the Prefect flows."""
