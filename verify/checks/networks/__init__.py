"""Checks of networks of several layers."""
