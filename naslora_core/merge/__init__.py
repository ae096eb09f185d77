"""Make an adapter part of its model, and certify what that changed."""
