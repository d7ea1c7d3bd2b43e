"""The only way a file from outside is read: by a process of its own, behind walls, that is thrown away afterwards.

This side copies bytes and checks what comes back; it never gives the file to a library. `state` says how good the
walls are on this machine, `probe` tries them.
"""

from layers.reading.asking import DEFAULT, Grid, probe, read, read_grid, state
from layers.sandbox.limits import Defences, Limits

__all__ = ["DEFAULT", "Defences", "Grid", "Limits", "probe", "read", "read_grid", "state"]
