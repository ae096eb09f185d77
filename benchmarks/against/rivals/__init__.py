"""What a user would run instead, with nothing of this project in it."""
