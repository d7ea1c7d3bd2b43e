# ParkPlan as an image: everything is fetched while it is built, nothing while it runs.
#
#   docker build -t parkplan .
#   docker run --read-only --tmpfs /tmp -v county:/data -p 8000:8000 parkplan
#
# /data holds county.gpkg, its cache, and beside it the users and the audit log; it is the only place written to.
# `parkplan serve` binds to other addresses than loopback only where users are configured, so an empty volume is
# refused: make the county and its users first (docker run ... parkplan parkplan init /data/county.gpkg).

FROM node:22-slim AS browser-parts
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund

FROM python:3.11-slim AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir "uv==0.13.9"
WORKDIR /app
COPY pyproject.toml uv.lock ./
# the dependencies first: they change less often than our own code
RUN uv sync --frozen --no-dev --no-install-project
COPY README.md LICENSE ./
COPY layers layers
COPY gis gis
COPY scripts scripts
COPY api api
COPY --from=browser-parts /app/node_modules node_modules
RUN python -m scripts.vendor && uv sync --frozen --no-dev --no-editable

FROM python:3.11-slim
# rasterio's wheel expects the system's libexpat, which the slim image leaves out; printed reports embed the Chinese
# font; Debian keeps no old versions to pin
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libexpat1 fonts-noto-cjk \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin parkplan \
    && install -d -o parkplan -g parkplan /data
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH \
    HOME=/tmp \
    XDG_CACHE_HOME=/tmp/cache \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["parkplan", "serve", "/data/county.gpkg", "--host", "0.0.0.0", "--port", "8000"]
