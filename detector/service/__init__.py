"""The daemon: its processes, and how they start, stop and are looked after."""
