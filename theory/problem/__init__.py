"""What a user states: mixture, loss with its kinks, model; the two systems of the paper."""
