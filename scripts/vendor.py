"""Copy the browser parts from node_modules into api/static/vendor: no page asks another machine for anything.

Set-up runs it after ``npm ci`` (see scripts/setup.sh). By hand: ``python -m scripts.vendor``.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ROOT / "node_modules"
VENDOR = ROOT / "api" / "static" / "vendor"
# Packages that are published without the text of their licence; it is that of their repository.
LICENCES = ROOT / "scripts" / "licences"
LENT = dict.fromkeys(("terra-draw", "terra-draw-maplibre-gl-adapter"), LICENCES / "terra-draw.txt")

# What the pages load. Images and fonts that a stylesheet names come along by themselves.
PARTS: dict[str, tuple[str, ...]] = {
    "@fortawesome/fontawesome-free": ("css/all.min.css",),
    "bootstrap": ("dist/css/bootstrap.min.css", "dist/js/bootstrap.bundle.min.js"),
    "jquery": ("dist/jquery.min.js",),
    # the default marker is named by Leaflet's script, not by its stylesheet
    "leaflet": (
        "dist/leaflet.css",
        "dist/leaflet.js",
        "dist/images/marker-icon-2x.png",
        "dist/images/marker-shadow.png",
    ),
    "leaflet-minimap": ("dist/Control.MiniMap.min.css", "dist/Control.MiniMap.min.js"),
    "leaflet-mouse-position": ("src/L.Control.MousePosition.css", "src/L.Control.MousePosition.js"),
    "leaflet.awesome-markers": (
        "dist/leaflet.awesome-markers.css",
        "dist/leaflet.awesome-markers.min.js",
    ),
    "leaflet.control.layers.tree": ("L.Control.Layers.Tree.css", "L.Control.Layers.Tree.js"),
    "leaflet.fullscreen": ("Control.FullScreen.css", "Control.FullScreen.js"),
    # MapLibre finds its worker beside itself; the worker shares code by a file that this build leaves empty
    "maplibre-gl": (
        "dist/maplibre-gl.css",
        "dist/maplibre-gl.mjs",
        "dist/maplibre-gl-shared.mjs",
        "dist/maplibre-gl-worker.mjs",
    ),
    "proj4": ("dist/proj4.js",),
    "protomaps-leaflet": ("dist/protomaps-leaflet.js",),
    "swagger-ui-dist": ("favicon-32x32.png", "swagger-ui-bundle.js", "swagger-ui.css"),
    "terra-draw": ("dist/terra-draw.module.js",),
    "terra-draw-maplibre-gl-adapter": ("dist/terra-draw-maplibre-gl-adapter.module.js",),
}

CSS_URL = re.compile(r"""url\(\s*["']?(?!data:|#)([^"')?#]+)""")
LICENCE = re.compile(r"licen[cs]e|notice", re.IGNORECASE)


def named_by(stylesheet: Path) -> Iterator[Path]:
    """The files a stylesheet refers to; inlined ones (data:) and fragments are not files."""
    for url in CSS_URL.findall(stylesheet.read_text(encoding="utf-8")):
        yield (stylesheet.parent / url).resolve()


def files_of(package: Path, parts: tuple[str, ...], lent: bool = False) -> list[Path]:
    """A package's parts, whatever their stylesheets name, and its licence; `lent`: one of ours may stand in."""
    wanted = {package / part for part in parts}
    for stylesheet in [f for f in wanted if f.suffix == ".css" and f.is_file()]:
        wanted.update(named_by(stylesheet))
    licences = [f for f in package.iterdir() if LICENCE.search(f.name)] if package.is_dir() else []
    # a package without its licence may not be handed on: ask for the file, so that its absence is a fault
    return sorted(wanted.union(licences or ([] if lent else [package / "LICENSE"])))


def copy(modules: Path = MODULES, vendor: Path = VENDOR) -> dict[str, dict[str, str]]:
    """Replace ``vendor`` by the parts, and write its manifest: file -> sha256, version, licence.

    Every missing file is reported at once, before anything is touched.
    """
    modules = modules.resolve()
    wanted = {name: files_of(modules / name, parts, name in LENT) for name, parts in PARTS.items()}
    missing = [str(f.relative_to(modules)) for files in wanted.values() for f in files if not f.is_file()]
    if missing:
        raise SystemExit(
            f"Not found in {modules}:\n  " + "\n  ".join(missing) + "\n"
            "Run 'npm ci --ignore-scripts'; if a package changed its layout, mend PARTS in scripts/vendor.py."
        )

    shutil.rmtree(vendor, ignore_errors=True)
    manifest: dict[str, dict[str, str]] = {}
    for name, files in wanted.items():
        about = json.loads((modules / name / "package.json").read_text(encoding="utf-8"))
        sources = {source.relative_to(modules).as_posix(): source for source in files}
        if name in LENT and not any(LICENCE.search(Path(key).name) for key in sources):
            sources[f"{name}/LICENSE"] = LENT[name]
        for key, source in sources.items():
            target = vendor / key
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            manifest[key] = {
                "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
                "version": about["version"],
                "licence": about["license"],
            }
    (vendor / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


if __name__ == "__main__":
    manifest = copy()
    size = sum((VENDOR / key).stat().st_size for key in manifest)
    print(f"{len(manifest)} browser files, {size / 1e6:.1f} MB, in {VENDOR.relative_to(ROOT)}")
