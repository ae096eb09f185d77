"""Methods of Hugging Face PEFT, as adapter.method `peft:<type>`."""
