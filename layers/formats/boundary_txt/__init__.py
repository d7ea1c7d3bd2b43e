"""The boundary exchange text of Chinese land offices (国土 TXT, 电子报盘): a tolerant reader and a strict writer.

The format has no binding grammar: one frame ([属性描述], [地块坐标], a header line ending in `@` before the points of
each plot), many habits. A `Profile` says which habits a file follows.
"""

from layers.formats.boundary_txt.profile import LAND_CONSOLIDATION, PROFILES, STANDARD, Profile
from layers.formats.boundary_txt.reading import as_read, read
from layers.formats.boundary_txt.writing import write

__all__ = ["LAND_CONSOLIDATION", "PROFILES", "STANDARD", "Profile", "as_read", "read", "write"]
