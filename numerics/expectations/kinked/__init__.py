"""Expectations of integrands with kinks: generated sums, control variates and their exact means."""
