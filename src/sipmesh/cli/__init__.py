"""The commands: what an operator types, and what is printed.

In the room: one file for each group of commands, what they share (`place` finds the topology, `live` asks the running
servers, `output` prints), and the probe behind `explain`. Never in the room: decisions. A command reads its words, calls
one thing below, and tells what came of it; errors leave as `SipmeshError` and are told in one place, `main`.
"""
