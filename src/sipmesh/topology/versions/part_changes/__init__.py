"""Words for the changes of each part of the topology document: one line for each change.

`difference` puts them together. Checks of what a change breaks do not belong here.
"""
