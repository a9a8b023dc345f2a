"""Where the rooms meet: device, estimation, release and recording become one session.

`pipeline` is what happens to every chunk, live or replayed; `session` runs it on a connected tool and records;
`replay` runs it on a session file. App, command line and rigs use these and nothing below.
"""
