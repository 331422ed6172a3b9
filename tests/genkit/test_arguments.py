"""Numbers that are and that are not what an argument takes."""

import math

import numpy as np
import pytest
import torch

import genkit.arguments as A


def test_numbers_of_any_library():
    for value in (3, np.int64(3), torch.tensor(3)):
        assert A.integer("k", value) == 3 and type(A.integer("k", value)) is int
    for value in (0.5, np.float32(0.5), torch.tensor(0.5)):
        assert A.positive("h", value) == 0.5 and type(A.positive("h", value)) is float
    assert A.integer("k", 0, 0, 0) == 0


BAD = [
    (lambda: A.positive("h", 0), "h must be positive and finite, got 0"),
    (lambda: A.positive("h", math.nan), "h must be positive and finite, got nan"),
    (lambda: A.positive("h", None), "h must be a positive number, got None"),
    (lambda: A.integer("k", 2.0), "k must be an integer, got 2.0"),
    (lambda: A.integer("k", np.int64(0)), "k must be at least 1, got 0"),
    (lambda: A.integer("k", True), "k must be an integer, got True"),
    (lambda: A.integer("k", np.bool_(True)), "k must be an integer, got"),
    (lambda: A.integer("k", torch.tensor([1, 2])), "k must be an integer, got"),
    (lambda: A.integer("k", 5, 0, 4), "k must be from 0 to 4, got 5"),
    (lambda: A.positive("h", "1"), "h must be a positive number, got '1'"),
    (lambda: A.positive("h", torch.ones(2)), "h must be a positive number, got Tensor"),
    (lambda: A.positive("h", math.inf), "h must be positive and finite, got inf"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
