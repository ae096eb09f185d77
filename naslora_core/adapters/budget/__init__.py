"""NAS-LoRA under a budget: every layer chooses one operation and its ranks, instead of mixing all."""
