"""Export to other projects' formats: SAM checkpoints, PEFT adapters, ONNX, torch programs, the adapter alone."""
