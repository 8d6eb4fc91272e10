"""Data from outside beside the theory fitted to them: the command `fit`, its tables and figure."""
