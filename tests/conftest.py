"""The emulated stack, which the stories and the tests of permissions share."""

from collections.abc import Iterator

import pytest

from tests.stories.target import Target
from tests.terraform.enforced import Enforced, enforced_stack
from tests.terraform.requirements import require_provider


@pytest.fixture(scope="session")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enforced]:
    """Apply the stack once for all stories that are told on an emulator, with IAM enforced."""
    with require_provider(), enforced_stack(tmp_path_factory.mktemp("enforced")) as enforced:
        yield enforced


@pytest.fixture(scope="session")
def emulated(enforced: Enforced) -> Target:
    return enforced.target
