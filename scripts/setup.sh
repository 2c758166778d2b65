# Sourced by run, test and check: brings what is missing on a fresh machine. Needs Python 3.11 or root to install it.
# Sets ROOT (the checkout) and CACHE (outside it), and defines the functions below.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${BEEYARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/beeyard}
export UV_PROJECT_ENVIRONMENT=$ROOT/.venv

say() { printf '%s\n' "$*" >&2; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Install Debian packages that are not there yet.
need_packages() {
  command -v apt-get >/dev/null || return 0
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing: ${missing[*]}"
  as_root apt-get -q -o DPkg::Lock::Timeout=600 update >/dev/null
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 \
    install --no-install-recommends "${missing[@]}" >/dev/null
}

# Put uv on PATH: the one that is there, else one in a virtual environment of its own in the cache.
need_uv() {
  command -v uv >/dev/null && return 0
  if [ ! -x "$CACHE/uv/bin/uv" ]; then
    python3 -c 'import ensurepip' 2>/dev/null || need_packages python3 python3-venv
    say "installing uv into $CACHE/uv"
    python3 -m venv "$CACHE/uv"
    "$CACHE/uv/bin/pip" install --quiet --disable-pip-version-check uv
  fi
  PATH=$CACHE/uv/bin:$PATH
}

# Bring the project's environment to what uv.lock says, compiled so that the first start is quick; arguments go to uv sync.
sync_environment() {
  need_uv
  (cd "$ROOT" && uv sync --quiet --frozen --compile-bytecode --python-preference system "$@")
}
