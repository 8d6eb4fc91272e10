"""Data from outside: labelled arrays and files, the Gaussian mixture fitted to them, and how far it
is from them.
"""
