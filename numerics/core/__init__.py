"""What every numeric room stands on: parameters and states, generated code, validation, results,
errors.
"""
