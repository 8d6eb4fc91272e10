"""Published results of the field, a folder each: ``specalign paper NAME`` runs one and judges it.

``paper.toml`` says what the work claims and where, ``run.py`` measures it with the public functions
of specalign, ``*.tex`` holds its formulas as claims where they are known.
"""
