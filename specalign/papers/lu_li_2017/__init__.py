"""Lu and Li (2017): phase transitions of spectral initialisation."""
