# Sourced by scripts/demo, test and check from the repository's root: what they need, kept inside the checkout.
# POSIX sh and no sudo; a step whose inputs have not changed is skipped. Only a root user gets system packages.
# shellcheck shell=sh

TOOLS=.venv-tools # uv and Node.js, where the machine has none
VENDOR=api/static/vendor

# An active environment elsewhere is none of our business.
unset VIRTUAL_ENV
export UV_PROJECT_ENVIRONMENT=.venv

# An office's own certificate authority lies in the system's store; uv, pip and Node.js look into stores of their own.
for ca in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
    if [ -s "$ca" ]; then
        export SSL_CERT_FILE="${SSL_CERT_FILE:-$ca}" PIP_CERT="${PIP_CERT:-$ca}"
        export NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-$ca}"
    fi
done

say() { printf '· %s\n' "$*" >&2; }

stop() {
    printf '\nSet-up cannot go on: %s\n' "$1" >&2
    printf '%s\n' "$2" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# Changes with the named files and with the place of the checkout.
fingerprint() { { pwd && cat "$@"; } | cksum | tr ' ' '-'; }

is_done() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

make_tools_dir() {
    mkdir -p "$TOOLS"
    echo '*' >"$TOOLS/.gitignore"
}

may_apt() { has apt-get && [ "$(id -u)" = 0 ]; }

# apt_install PACKAGE...: quietly; what apt said is kept for the curious
apt_install() {
    make_tools_dir
    if [ -z "${apt_updated:-}" ]; then
        apt-get update -qq >"$TOOLS/apt.log" 2>&1 || true # one dead source is no reason to stop
        apt_updated=yes
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=120 "$@" >>"$TOOLS/apt.log" 2>&1
}

# Sets $uv. A shim on the PATH that runs nothing (pyenv) does not count, so it is asked for its version.
find_uv() {
    for uv in uv "$TOOLS/uv/bin/uv"; do
        if "$uv" --version >/dev/null 2>&1; then return; fi
    done
    uv=$TOOLS/uv/bin/uv
    say "uv is not on the PATH: installing it into $TOOLS"
    has python3 || stop "there is neither uv nor python3 here." \
        "Install Python 3.11 or newer (Debian, Ubuntu: apt-get install python3 python3-venv), or uv. Then run this again."
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null && may_apt; then
        say "python3 has no ensurepip: apt-get install python3-venv"
        apt_install python3-venv || true
    fi
    python3 -c 'import ensurepip, venv' 2>/dev/null || stop "python3 has no ensurepip, so no environment can be made." \
        "An administrator may run 'apt-get install python3-venv' (Debian, Ubuntu); or install uv. Then run this again."
    make_tools_dir
    python3 -m venv "$TOOLS/uv"
    "$TOOLS/uv/bin/python" -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1' ||
        stop "pip could not install uv." \
            "Is a package index reachable? Behind a mirror: set PIP_INDEX_URL and UV_DEFAULT_INDEX."
}

# install_python demo|dev: the locked packages into .venv. Dev holds all the demo needs, so the demo takes either.
install_python() {
    inputs=$(fingerprint pyproject.toml uv.lock)
    if is_done .venv/.parkplan "dev $inputs" || is_done .venv/.parkplan "$1 $inputs"; then return; fi
    find_uv
    say "Python packages from uv.lock into .venv ($1)"
    rm -f .venv/.parkplan
    # the commands of an environment name its place: one that was moved is made anew
    grep -qsF "$PWD/.venv" .venv/bin/activate || rm -rf .venv
    # --frozen, not --locked: with --locked a mirror's address makes the lock look stale
    case $1 in
    dev) "$uv" sync --frozen --all-extras ;;
    demo) "$uv" sync --frozen --no-dev --extra demo --inexact ;; # inexact: leaves a developer's tools where they are
    esac || stop "the Python packages could not be installed." \
        "The reason stands above. Python 3.11 or newer is needed, and a reachable package index."
    # rasterio's wheel expects the system's libexpat, which slim images leave out
    if ! .venv/bin/python -c 'import rasterio' 2>/dev/null; then
        if may_apt; then
            say "libexpat1 is missing: apt-get install libexpat1"
            apt_install libexpat1 || true
        fi
        .venv/bin/python -c 'import rasterio' ||
            stop "rasterio does not load (see above)." "Debian, Ubuntu: apt-get install libexpat1"
    fi
    echo "$1 $inputs" >.venv/.parkplan
}

# npm 7 is the first that reads our lock; --ignore-scripts: nothing but files is wanted from these packages
npm_ci() {
    npm_version=$(npm --version 2>/dev/null) && [ "${npm_version%%.*}" -ge 7 ] &&
        npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >&2
}

npm_ci_with_own_node() (
    say "no usable npm on the PATH: installing Node.js into $TOOLS"
    make_tools_dir
    find_uv
    rm -rf "$TOOLS/node" # as .venv: a moved one does not run
    UV_PROJECT_ENVIRONMENT=$TOOLS/node "$uv" sync --frozen --only-group node &&
        PATH="$PWD/$TOOLS/node/bin:$PATH" && npm_ci
)

# The pages' scripts, styles and fonts into api/static/vendor, after install_python.
install_browser_parts() {
    inputs=$(fingerprint package-lock.json scripts/vendor.py)
    if is_done "$VENDOR/.parkplan" "$inputs"; then return; fi
    say "browser parts from package-lock.json into $VENDOR"
    npm_ci || npm_ci_with_own_node || stop "the browser parts could not be fetched." \
        "Is the npm registry reachable? Behind a mirror: set npm_config_registry."
    .venv/bin/python -m scripts.vendor >&2
    echo "$inputs" >"$VENDOR/.parkplan"
}

# asked of the program that prints, not of fontconfig, which a slim system lacks
has_cjk_font() { .venv/bin/python -c 'from api.reports import fonts; fonts.found()' 2>/dev/null; }

# The Chinese font that printed reports embed. Without it the rest works, and reports say what is missing.
install_font() {
    has_cjk_font && return 0
    if may_apt; then
        say "no Chinese font for printed reports: apt-get install fonts-noto-cjk"
        apt_install fonts-noto-cjk && return 0
    fi
    say "no Chinese font was found: PDF and Word reports will say so until there is one." \
        "Debian, Ubuntu: apt-get install fonts-noto-cjk; or put one into a folder and name it in PARKPLAN_FONTS."
}

has_postgis() { ls /usr/share/postgresql/*/extension/postgis.control >/dev/null 2>&1; }

# The server with PostGIS that this release has: postgresql-15-postgis-3 on Debian 12.
postgis_package() {
    [ -n "${apt_updated:-}" ] || apt-get update -qq >/dev/null 2>&1 || true
    apt-cache search --names-only '^postgresql-[0-9]+-postgis-3$' 2>/dev/null | cut -d ' ' -f 1 | sort -V | tail -n 1
}

# Programs that only some tests need. They are installed where we may; what is missing is named, its tests skip.
install_test_tools() {
    missing=
    has chromium || missing="$missing chromium"
    has_cjk_font || missing="$missing fonts-noto-cjk"
    has pdftotext || missing="$missing poppler-utils"
    has ogrinfo || missing="$missing gdal-bin"
    if ! has_postgis; then
        package=$(may_apt && postgis_package) || package=
        missing="$missing ${package:-postgresql-15-postgis-3}"
    fi
    [ -n "$missing" ] || return 0
    if may_apt; then
        say "system packages for the tests:$missing"
        for package in $missing; do
            apt_install "$package" || say "$package could not be installed, its tests will be skipped: see $TOOLS/apt.log"
        done
    else
        say "not here, and only root may install them:$missing. Their tests will be skipped."
    fi
}
