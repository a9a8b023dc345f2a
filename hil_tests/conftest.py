"""One suite for every tool: simulated, another process, a rig. Options and fixtures are those of nexuslink.testing."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from nexuslink.testing import plugin
from nexuslink.testing.observation import Observation, observe
from nexuslink.testing.plugin import BASE_LIMITS, Bench

HERE = Path(__file__).parent
ENOUGH_MESSAGES = 500
"""A loss of 2 % shows none in so many once in 25,000 runs."""
HANG_S = 120.0


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """A checkout that is not installed has no entry point: the plugin is then brought here."""
    if not pluginmanager.is_registered(plugin):
        pluginmanager.register(plugin, "nexuslink")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[BASE_LIMITS] = HERE / "limits.toml"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A long observation must not run into the guard against hanging."""
    if config.pluginmanager.hasplugin("timeout"):
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.timeout(2 * config.getoption("nexus_seconds") + HANG_S))


@pytest.fixture(scope="session")
def observed(nexus_bench: Bench, nexus_seconds: float) -> Callable[[], Observation]:
    """The stream, watched once. To be called in the test: what goes wrong is then a failure and not an error."""

    @cache
    def once() -> Observation:
        bound_s = 2 * nexus_seconds + HANG_S / 2
        return nexus_bench.run(lambda nexus: observe(nexus, nexus_seconds, ENOUGH_MESSAGES), bound_s)

    return once
