"""The whole network on one machine, used and attacked.

In this room: the forge of bad certificates, the impostors, and the demo that runs two organisations as real processes.

Not in this room: anything that a running network relies on. Nothing below may import from here.
"""
