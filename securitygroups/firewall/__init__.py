"""Security group rules as values: what they say, which one decides a packet, what a list of them lets through.

Pure: imports the standard library (numpy where a module is about bulk) and nothing of Django; called by every other room.
"""
