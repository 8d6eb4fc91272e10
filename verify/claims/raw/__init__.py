"""Witnesses of claims: sample means computed from the bare loss."""
