"""What runs apart: one fresh process per file from outside, which reads it behind walls and is thrown away.

`child` is the process; it imports no more than its file needs, so that starting it is cheap. `layers.reading` asks.
Nothing here is imported by a server for its effect: only names are defined.
"""
