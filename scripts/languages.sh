#!/usr/bin/env bash
# Provisions what tests/vectors needs besides the servers: the modules of its Go program and the
# packages of its Node program. Does nothing if they exist. A missing tool is reported in one line.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh" languages
cd "$(dirname "${BASH_SOURCE[0]}")/../tests/vectors"

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
