"""Paint the objects that annotation tools store into masks of class ids, and count what that hides or loses."""
