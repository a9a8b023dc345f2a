"""What can go wrong between a tool and its host, as small filters that compose.

Three levels, and the line between them:

- *messages* (`messages`): whole messages are lost, doubled, overtaken, late. What a radio's queues do.
- *octets* (`octets`): bytes are damaged, cut apart, thrown together. What a wire and a driver do. A filter of this
  level does not know where a frame begins.
- *tool and link* (`gates`, `events`): the link takes nothing for a while or seldom, ends, carries less; the tool
  restarts or its clock jumps. These need somebody who owns the tool, so a proxy has only some of them.

A `Chain` is a row of filters for one direction. `table` has every fault by the name that users write, `values` the
grammar of what stands behind it, `plan` makes the chains and keeps the counts.

Nothing here has a clock: times are handed in, nanoseconds since the tool was switched on, and never go back. Each
filter has its own random stream from the seed, its name and its direction, so that adding one does not change what
another does, and each counts how often it struck. It must never know a socket, nor what samples mean.
"""
