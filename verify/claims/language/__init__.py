"""The languages claims are written in: plain text and LaTeX."""
