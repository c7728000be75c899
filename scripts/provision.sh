#!/usr/bin/env bash
# Provisions the servers of the tests and benchmarks: redis-server on PATH and .servers/bin/faktory.
# Does nothing if both exist. A server that cannot be provisioned is reported in one line.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh" provision
cd "$(dirname "${BASH_SOURCE[0]}")/.."

module=scripts/faktory
faktory=.servers/bin/faktory
log=.servers/provision.log

faktory_is_current() {
  [ -x "$faktory" ] && [ ! "$module/go.mod" -nt "$faktory" ] && [ ! "$module/go.sum" -nt "$faktory" ]
}

# Build the pinned version. Another version on PATH is used only if none can be built.
faktory_is_settled() { faktory_is_current || { ! have go && have faktory; }; }

if have redis-server && faktory_is_settled; then exit 0; fi

mkdir -p .servers/bin
hold_lock .servers/lock

if ! have redis-server; then
  if [ "$(id -u)" != 0 ] || ! have apt-get; then
    cannot "redis-server is not on PATH: install it (Debian: sudo apt-get install redis-server)"
  else
    echo "provision: installing redis-server"
    export DEBIAN_FRONTEND=noninteractive
    # 9>&-: a service that the package starts must not inherit the lock.
    if ! { apt-get update && apt-get install -y redis-server; } >"$log" 2>&1 9>&-; then
      cannot "apt-get could not install redis-server, see $log: $(tail -n 1 "$log")"
    fi
  fi
fi

# Use our own module instead of `go install …@version`: go.sum pins the checksums, and this works
# with a module proxy that has no list of versions, which `go install` requests.
if ! faktory_is_settled; then
  if ! have go; then
    cannot "no Faktory server: install Go and run this again"
  else
    echo "provision: building $faktory"
    # Build under another name and move it, since runs at once may have no flock.
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
