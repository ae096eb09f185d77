"""Segment Anything: the models, their checkpoints and the prompt-free segmenter."""
