"""Speed, latency, memory and start, as ratios to something measured in the same run. Run by ``./run bench``.

Absolute figures of one machine say little: every section measures its references beside the product, in turns, and
the limits are set on the ratio. Nothing here is a test; nothing in ``tests/`` measures time.
"""
