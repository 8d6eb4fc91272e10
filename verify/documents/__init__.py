"""Derivations one can print: every step judged before it is written."""
