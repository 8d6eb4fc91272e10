"""Texts and tables of the console."""
