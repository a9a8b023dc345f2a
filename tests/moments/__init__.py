"""Anything at any moment: a tool is struck by a cause in a phase of its connection, and must stream again within 5 s.

`plan` says what happens to whom when, by the seed; `air` does it on the virtual air (virtual time), `cables` on sockets
and pseudo-terminals, `processes` to real processes, by SIGKILL. ``__main__`` does all of it: ``./run soak moments``.
"""
