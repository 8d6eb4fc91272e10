"""Claims of files before they are judged: their list, and the statements of manuscripts."""
