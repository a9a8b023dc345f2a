"""What stands behind ``./run``: it makes the environment and starts the programs in it. Standard library only.

It never imports ``nexuslink`` and never runs inside the environment it makes. ``main`` and ``environment`` are on the
way of every start and import next to nothing; everything else is loaded only when there is work for it.
"""
