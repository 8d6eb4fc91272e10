"""What a user states: the mixture, the loss with its functions and kinks, the model; and the two
systems of the paper.
"""
