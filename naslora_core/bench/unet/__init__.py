"""The rival of an adapted SAM: a U-Net that is trained from scratch in the same time."""
