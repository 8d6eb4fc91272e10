"""The stages of a judgement: symbols, digits, samples."""
