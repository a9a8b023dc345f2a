"""nexuslink: the companion of an instrumented Core Nexus release tool.

    async with nexuslink.connect("sim:") as nexus:
        async for estimates in nexuslink.estimates(nexus):
            print(estimates.force_n[-1], estimates.tip_angle_deg[-1])

`connect_blocking` and `blocking_estimates` are the same without ``async``. Names are imported when they are first
used: a window must not wait for what it does not show.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nexuslink.device.blocking import BlockingNexus
    from nexuslink.device.blocking import connect as connect_blocking
    from nexuslink.device.nexus import Nexus, connect
    from nexuslink.estimation.estimator import Estimates
    from nexuslink.live.stream import blocking_estimates, estimates

__version__ = "0.1.0"
__all__ = [
    "BlockingNexus",
    "Estimates",
    "Nexus",
    "__version__",
    "blocking_estimates",
    "connect",
    "connect_blocking",
    "estimates",
]

_HOMES = {
    "BlockingNexus": ("nexuslink.device.blocking", "BlockingNexus"),
    "Estimates": ("nexuslink.estimation.estimator", "Estimates"),
    "Nexus": ("nexuslink.device.nexus", "Nexus"),
    "connect": ("nexuslink.device.nexus", "connect"),
    "connect_blocking": ("nexuslink.device.blocking", "connect"),
    "blocking_estimates": ("nexuslink.live.stream", "blocking_estimates"),
    "estimates": ("nexuslink.live.stream", "estimates"),
}


def __getattr__(name: str) -> object:
    try:
        module, attribute = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'nexuslink' has no attribute {name!r}") from None
    return getattr(import_module(module), attribute)
