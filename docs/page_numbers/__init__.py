"""What pages state and where it comes from: a module for each page with numbers."""
