"""At which scale a model should see a dataset: how wide its objects are, and what is lost where they are shrunk."""
