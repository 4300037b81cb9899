"""Some minutes of torture: the same steps each time, and others each time. `make torture` goes on for longer."""

import random

import pytest

from tests.support import torture

pytestmark = pytest.mark.slow

ALWAYS = 20_261_129
EXAMPLES = 10


def test_a_store_bears_the_same_torture_as_ever() -> None:
    torture.run(ALWAYS, EXAMPLES, shrinks=False)


def test_a_store_bears_torture_that_nobody_has_seen() -> None:
    number = random.SystemRandom().randrange(10**9)
    try:
        torture.run(number, EXAMPLES, shrinks=False)
    except Exception as error:
        pytest.fail(f"{error}\n{torture.again(number, EXAMPLES)}")
