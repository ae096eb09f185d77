"""From a dataset to arrays of the size SAM sees; what has not changed is taken from the arrays before."""
