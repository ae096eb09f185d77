"""The command `naslora`; the only room that knows typer."""
