"""Settings of training: which step, ridge, batch and schedule reach a goal soonest."""
