"""Signs of forms: where they change, which never occur, which exclude each other."""
