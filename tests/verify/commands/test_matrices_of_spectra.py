"""Every matrix that spectra know can be asked for by its name, and is called so."""

from __future__ import annotations

import pytest
from command_cases import succeed

from numerics.spectra.population_block import MATRICES
from verify.settings.option_table import OPTIONS
from verify.tables.spectra import MATRIX_NAMES


def test_the_option_has_every_matrix():
    (option,) = [o for o in OPTIONS if o.name == "matrix"]
    assert set(option.choices) == set(MATRICES) == set(MATRIX_NAMES)


@pytest.mark.parametrize("matrix", MATRICES)
def test_tables_name_the_matrix(matrix):
    text = succeed("spectrum", "--k", 2, "--matrix", matrix)
    assert f"Population {MATRIX_NAMES[matrix]}, block (1, 1)" in " ".join(text.split())
