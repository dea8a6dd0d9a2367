"""The whole network on one machine, used and attacked.

What belongs into this package: the forge of bad certificates, the impostors, and the demo, which runs two organisations as real
processes.

What does not: anything that a running network relies on. No package below may import from here.
"""
