"""What is kept of generated code between runs."""
