#!/bin/sh
# Run the venv's uv with the index, proxy and certificates that pip is told to use: uv does not read pip's
# configuration, so behind a company mirror `make setup` would otherwise fail after pip had already worked.
set -eu
venv=${VENV:-.venv}
from_pip() { "$venv/bin/python" -m pip config get "$1" 2>/dev/null || true; }

# With hashes required, a file is the right one wherever it comes from.
export UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}"
if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
  index=${PIP_INDEX_URL:-$(from_pip global.index-url)}
  [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
fi
if [ -z "${SSL_CERT_FILE:-}" ]; then
  cert=${PIP_CERT:-$(from_pip global.cert)}
  [ -z "$cert" ] || export SSL_CERT_FILE="$cert"
fi
if [ -z "${HTTPS_PROXY:-}${https_proxy:-}${ALL_PROXY:-}" ]; then
  proxy=${PIP_PROXY:-$(from_pip global.proxy)}
  [ -z "$proxy" ] || export HTTPS_PROXY="$proxy" HTTP_PROXY="${HTTP_PROXY:-$proxy}"
fi
exec "$venv/bin/uv" "$@"
