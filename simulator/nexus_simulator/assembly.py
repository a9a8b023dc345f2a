"""A simulated tool put together from its options: the right one or one that is wrong on purpose, and its line."""

from __future__ import annotations

from nexus_simulator.faults.plan import Faults
from nexus_simulator.link import FLIGHT_NS, Link
from nexus_simulator.options import Options
from nexus_simulator.tool import Tool


def make_link(options: Options) -> Link:
    """A tool with its line, as the options say; raises ValueError with one line for a defect that there is not."""
    faults = Faults(options.faults, options.seed, FLIGHT_NS)
    if options.defect is None:
        return Link(Tool(options), faults)
    from nexus_simulator.defects.table import DEFECTS  # a hundred firmwares: only where one of them is wanted

    if options.defect not in DEFECTS:
        raise ValueError(f"defect={options.defect}: there is no such defect; there are: {', '.join(DEFECTS)}")
    defect = DEFECTS[options.defect]
    return defect.link(Tool(options, defect.firmware), faults)
