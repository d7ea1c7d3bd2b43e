"""How much one file may ask for, and the walls between it and us."""

from __future__ import annotations

from dataclasses import dataclass

GB = 1 << 30


@dataclass(frozen=True)
class Limits:
    """What one file may cost at most. A bound that is passed ends in TooLarge, never in a part of the file."""

    file_bytes: int = 2 * GB
    unpacked_bytes: int = 4 * GB
    ratio: int = 200  # bytes out of a zip for each byte of it; the blanks of a .dbf alone reach 100
    members: int = 5_000
    layers: int = 1_000
    columns: int = 200
    features: int = 5_000_000
    vertices: int = 100_000_000
    cells: int = 400_000_000
    memory_bytes: int = 8 * GB
    answer_bytes: int = 6 * GB
    cpu_s: int = 300
    wall_s: float = 360.0
    open_files: int = 256


@dataclass(frozen=True)
class Defences:
    """The layers of defence, all of them on. A test takes one away to see that the others still hold.

    magic : the content says what a file is, the name must agree; content that only points elsewhere is refused
    bounds : zips are walked within limits, and nothing that merely lies beside a file comes along
    drivers : GDAL knows the one driver of that kind, no network, no side files, no virtual tables
    rlimits : processor time, memory, file size and open files of the child
    fence : Landlock, where the kernel has it
    deadline : the child and all it started are ended after so much time by the clock
    checks : columns, features, vertices and nesting are counted before and while reading
    answer : what the child hands back is checked as if a stranger had sent it
    """

    magic: bool = True
    bounds: bool = True
    drivers: bool = True
    rlimits: bool = True
    fence: bool = True
    deadline: bool = True
    checks: bool = True
    answer: bool = True
