#!/usr/bin/env bash
# Provisions what the tests and the benchmarks need: redis-server on PATH and .servers/bin/faktory.
# Does nothing when both are there. What cannot be provisioned is said in one line; the status
# is then 0 on a laptop, whose tests skip, and 1 when CI=true, whose tests would fail.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

module=scripts/faktory
faktory=.servers/bin/faktory
log=.servers/provision.log
status=0

cannot() {
  echo "provision: $*" >&2
  if [ "${CI:-}" = true ]; then status=1; fi
}

have() { command -v "$1" >/dev/null 2>&1; }

faktory_is_current() {
  [ -x "$faktory" ] && [ ! "$module/go.mod" -nt "$faktory" ] && [ ! "$module/go.sum" -nt "$faktory" ]
}

# The pinned version for everybody; another one on PATH will do only where nothing can be built.
faktory_is_settled() { faktory_is_current || { ! have go && have faktory; }; }

if have redis-server && faktory_is_settled; then exit 0; fi

mkdir -p .servers/bin
if have flock; then # two runs at once: the second waits, then finds the work done
  exec 9>.servers/lock
  flock 9
fi

if ! have redis-server; then
  if [ "$(id -u)" != 0 ] || ! have apt-get; then
    cannot "redis-server is not on PATH: install it (Debian: sudo apt-get install redis-server)"
  else
    echo "provision: installing redis-server"
    export DEBIAN_FRONTEND=noninteractive
    # 9>&-: a service which the package starts must not inherit the lock.
    if ! { apt-get update && apt-get install -y redis-server; } >"$log" 2>&1 9>&-; then
      cannot "apt-get could not install redis-server, see $log: $(tail -n 1 "$log")"
    fi
  fi
fi

# A module of our own and not `go install …@version`: go.sum pins the checksums, and a module
# proxy that serves no list of versions, which `go install` asks for, will still do.
if ! faktory_is_settled; then
  if ! have go; then
    cannot "no Faktory server: install Go and run this again"
  else
    echo "provision: building $faktory"
    # Built beside and moved into place, for runs at once where there is no flock.
    fresh="$PWD/$faktory.$$"
    if (cd "$module" && go build -trimpath -mod=readonly -o "$fresh" \
      github.com/contribsys/faktory/cmd/faktory) >"$log" 2>&1 9>&-; then
      mv "$fresh" "$faktory"
    else
      rm -f "$fresh"
      cannot "go could not build the Faktory server, see $log: $(tail -n 1 "$log")"
    fi
  fi
fi

exit "$status"
