"""Every method by every name, on every tiny architecture, keeps to the contract."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts import REFUSED, MethodContract, apply
from trainers.errors import ConfigError
from trainers.interfaces import Method
from trainers.models.tiny import Tiny
from trainers.plugins import kinds, named, resolve

ARCHITECTURES = ("bert", "roberta", "llama")
PACKAGE = "trainers.methods"
METHODS: dict[str, Method] = {
    name: resolve(Method, PACKAGE, name)
    for name in named(Method, PACKAGE)
    # The bare kind is one of its own variants.
    if name != "bottleneck"
}
PAIRS = [(name, architecture) for name in METHODS for architecture in ARCHITECTURES]


def test_every_kind_is_under_the_contract() -> None:
    """A method that needs settings must give one ready-made name, or it goes untested."""
    assert {method.kind for method in METHODS.values()} == set(kinds(Method, PACKAGE))


@pytest.mark.parametrize(("name", "architecture"), sorted(REFUSED))
def test_a_method_that_cannot_work_says_so_in_one_line(name: str, architecture: Any) -> None:
    """A refusal names the field, the value and what is allowed."""
    with pytest.raises(ConfigError, match=rf"^method\.kind: {name} .*allowed: ") as caught:
        apply(METHODS[name], Tiny(architecture=architecture))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "architecture"), [pair for pair in PAIRS if pair not in REFUSED], scope="class"
)
class TestEveryMethod(MethodContract):
    """The contract on every pair of method and architecture."""

    @pytest.fixture
    def method(self, name: str) -> Method:
        """Return the method under its ready-made name."""
        return METHODS[name]

    @pytest.fixture
    def source(self, architecture: Any) -> Tiny:
        """Return the tiny model."""
        return Tiny(architecture=architecture)
