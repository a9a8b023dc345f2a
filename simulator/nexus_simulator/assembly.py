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


def make_tool(options: Options) -> Tool:
    """A tool without a line, for carriers of whole messages; raises ValueError with one line, also for what is the
    line's: faults, and the defects that need one."""
    if options.faults:
        raise ValueError(f"{next(iter(options.faults))}: a fault of a serial line; the virtual air has its own")
    if options.defect is None:
        return Tool(options)
    from nexus_simulator.defects.table import DEFECTS

    defect = DEFECTS.get(options.defect)
    if defect is None:
        raise ValueError(f"defect={options.defect}: there is no such defect; there are: {', '.join(DEFECTS)}")
    if defect.link is not Link:
        raise ValueError(f"defect={options.defect}: a defect of the line; it has no place on the air")
    return Tool(options, defect.firmware)
