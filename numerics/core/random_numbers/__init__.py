"""Random numbers drawn inside compiled loops: NumPy's streams, bit for bit."""
