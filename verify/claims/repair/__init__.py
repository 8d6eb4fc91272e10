"""Small changes that turn a false formula into a true one."""
