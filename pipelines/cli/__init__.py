"""The command `naslora`; the only package that imports typer."""
