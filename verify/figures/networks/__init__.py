"""Figures of networks: how layers align, runs side by side, where they end."""
