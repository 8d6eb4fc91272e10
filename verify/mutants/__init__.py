"""Wrong theories that the checks must refute."""
