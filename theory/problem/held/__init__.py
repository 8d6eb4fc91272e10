"""Numbers that a loss holds beside a sample: free parameters, and statistics of the weights."""
