#!/usr/bin/env bash
# Provisions what tests/vectors need besides the servers: the modules of its Go program, and the
# packages of its Node program. Does nothing when they are there. What cannot be provisioned is said
# in one line; the status is then 0 on a laptop, whose tests skip, and 1 when CI=true.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../tests/vectors"

status=0

cannot() {
  echo "languages: $*" >&2
  if [ "${CI:-}" = true ]; then status=1; fi
}

have() { command -v "$1" >/dev/null 2>&1; }

if ! have go; then
  cannot "no Go: install it and run this again"
elif ! (cd go && go build -mod=readonly -o /dev/null .); then
  cannot "go could not build tests/vectors/go"
fi

installed=node/node_modules/.package-lock.json
if ! have npm; then
  cannot "no Node: install it, with npm, and run this again"
elif [ ! "$installed" -nt node/package-lock.json ]; then
  echo "languages: installing the packages of tests/vectors/node"
  if (cd node && npm ci --silent --no-audit --no-fund); then
    touch "$installed"
  else
    cannot "npm could not install the packages of tests/vectors/node"
  fi
fi

exit "$status"
