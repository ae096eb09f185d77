"""Results in other projects' formats: SAM checkpoints, PEFT adapters, and the adapter alone."""
