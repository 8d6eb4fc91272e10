"""What a comparison is: tolerances with reasons, verdicts, results, extrapolated exponents."""
