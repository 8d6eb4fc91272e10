"""Samples: drawn from the mixture, given by the user, or those that trained the weights; their
risk.
"""
