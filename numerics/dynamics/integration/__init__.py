"""Integration of the flow: explicit and implicit steps, solutions known at every time."""
