"""What a command or a file asks for: options, configuration files, sweep files, values."""
