"""Hours of the real host on a simulated tool with every fault at once: nothing raises or grows, every count is exact.

`truth` looks at the tool from inside, `session` keeps what one session should come to, `host` lives through the hours,
``__main__`` runs many seeds at once: ``./run soak``. Time is virtual, so an hour takes a minute or two.
"""
