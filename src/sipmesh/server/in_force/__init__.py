"""What one server has in force: one value, computed from a version of the topology, and the holder from which all read it.

What changes without a version does not belong here, such as links, registrations and outages.
"""
