"""The child process of `layers.quality.valid`: WKB in, WKB of the valid areas out, one at a time.

Run by its path, so that it loads shapely and nothing of ours.
"""

from __future__ import annotations

import struct
import sys
from typing import IO

import shapely

MEMORY_BYTES = 4 * 2**30


def areas(shape: shapely.Geometry) -> shapely.Geometry:
    """The ground a geometry's rings enclose, as Polygon or MultiPolygon; empty where there is none."""
    made = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    parts = shapely.get_parts(made)
    parts = shapely.get_parts(parts)  # a collection may hold multipolygons
    parts = parts[shapely.get_dimensions(parts) == 2]
    if len(parts) == 0:
        return shapely.Polygon()
    return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)


def receive(pipe: IO[bytes]) -> bytes | None:
    """One length-prefixed message; None at the end of the pipe."""
    head = pipe.read(8)
    if len(head) < 8:
        return None
    (size,) = struct.unpack("<Q", head)
    body = pipe.read(size)
    return body if len(body) == size else None


def main() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    except (ImportError, ValueError, OSError):  # not this system
        pass
    while (wkb := receive(sys.stdin.buffer)) is not None:
        answer = shapely.to_wkb(areas(shapely.from_wkb(wkb)))
        sys.stdout.buffer.write(struct.pack("<Q", len(answer)) + answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
