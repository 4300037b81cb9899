"""A little torture, with a fixed seed and with a random one. `.ci/run` adds some minutes, `make torture` any number."""

import random

import pytest

from tests.support import torture

pytestmark = pytest.mark.slow

FIXED = 20_261_129
EXAMPLES = 2


def test_a_store_survives_the_fixed_torture() -> None:
    torture.run(FIXED, EXAMPLES, shrinks=False)


def test_a_store_survives_random_torture() -> None:
    seed = random.SystemRandom().randrange(10**9)
    try:
        torture.run(seed, EXAMPLES, shrinks=False)
    except Exception as error:
        pytest.fail(f"{error}\n{torture.again(seed, EXAMPLES)}")
