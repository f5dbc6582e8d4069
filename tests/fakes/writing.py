"""Files of points as scanners and programs write them."""

from pathlib import Path

import numpy as np
from plyfile import PlyData, PlyElement


def write_ply(path: Path, points: np.ndarray) -> None:
    """(N, 3), binary."""
    vertex = np.array([tuple(point) for point in points], dtype=[("x", "f4"), ("y", "f4"), ("z", "f4")])
    PlyData([PlyElement.describe(vertex, "vertex")]).write(str(path))


def write_stl(path: Path, triangles: np.ndarray, text: bool) -> None:
    """(N, 3, 3)."""
    if not text:
        facets = np.zeros(len(triangles), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
        facets["corners"] = triangles
        path.write_bytes(b"solid by a program".ljust(80) + len(triangles).to_bytes(4, "little") + facets.tobytes())
        return
    lines = ["solid part"]
    for triangle in triangles:
        corners = [f"  vertex {x:e} {y:e} {z:e}" for x, y, z in triangle]
        lines += [" facet normal 0 0 1", "  outer loop", *corners, "  endloop", " endfacet"]
    path.write_text("\n".join([*lines, "endsolid part", ""]))


def write_coloured_pcd(path: Path, cloud: np.ndarray, colours: np.ndarray, fields: str) -> None:
    """An organised file, (H, W, 3) each. fields: "float", "uint" or "ascii" for a packed field, "three" for r, g, b."""
    height, width = cloud.shape[:2]
    packed = (colours.astype(np.uint32) * np.array([65536, 256, 1], np.uint32)).sum(axis=2, dtype=np.uint32).ravel()
    kinds = [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]
    extra = {"three": [(name, "u1") for name in "rgb"], "float": [("rgb", "<f4")]}.get(fields, [("rgba", "<u4")])
    rows = np.zeros(height * width, [*kinds, *extra])
    for axis, name in enumerate("xyz"):
        rows[name] = cloud[..., axis].ravel()
    if fields == "three":
        for channel, name in enumerate("rgb"):
            rows[name] = colours[..., channel].ravel()
    else:
        rows[extra[0][0]] = packed.view(np.float32) if fields == "float" else packed
    names = rows.dtype.names or ()
    types = [rows.dtype[name] for name in names]
    head = (
        f"VERSION 0.7\nFIELDS {' '.join(names)}\nSIZE {' '.join(str(t.itemsize) for t in types)}\n"
        f"TYPE {' '.join(t.kind.upper() for t in types)}\nCOUNT {' '.join('1' for _ in names)}\nWIDTH {width}\n"
        f"HEIGHT {height}\nPOINTS {height * width}\nDATA {'ascii' if fields == 'ascii' else 'binary'}\n"
    )
    if fields == "ascii":
        content = "\n".join(" ".join(str(value) for value in row) for row in rows).encode()
    else:
        content = rows.tobytes()
    path.write_bytes(head.encode() + content)
