"""Formulas of files and options: losses, rules and schedules, read by the grammar of claims."""
