"""Exchange formats that GDAL does not read: one module each, `read(bytes, name=...)` -> RawLayer, and `write`."""
