#!/usr/bin/env bash
# Provisions the peers of benchmarks/peers: a virtual environment in .peers for each of the Python
# libraries, the packages of BullMQ, and asynq's program in .peers/asynq. Does nothing if they exist.
# A peer that cannot be provisioned is reported in one line, and does not stop the others.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh" peers
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mkdir -p .peers
hold_lock .peers/lock

# Both sides use the same Python.
python=.venv/bin/python
if [ ! -x "$python" ]; then python=${PYTHON:-python3}; fi

for requirements in benchmarks/peers/requirements/*.txt; do
  name=$(basename "$requirements" .txt)
  home=.peers/$name
  log=.peers/$name.log
  if [ "$home/.installed" -nt "$requirements" ] && [ -x "$home/bin/python" ]; then continue; fi
  echo "peers: installing $name"
  if { "$python" -m venv --clear "$home" && "$home/bin/python" -m pip install --quiet \
    --disable-pip-version-check --requirement "$requirements"; } >"$log" 2>&1; then
    touch "$home/.installed"
  else
    rm -f "$home/.installed"
    cannot "could not install $name, see $log: $(tail -n 1 "$log")"
  fi
done

bullmq=benchmarks/peers/bullmq
installed=$bullmq/node_modules/.package-lock.json
if ! have npm; then
  cannot "no Node for BullMQ: install it, with npm, and run this again"
elif [ ! "$installed" -nt "$bullmq/package-lock.json" ]; then
  echo "peers: installing the packages of BullMQ"
  if (cd "$bullmq" && npm ci --silent --no-audit --no-fund --ignore-scripts); then
    touch "$installed"
  else
    cannot "npm could not install the packages of $bullmq"
  fi
fi

asynq=.peers/asynq
newer() { [ -n "$(find benchmarks/peers/asynq -type f -newer "$asynq")" ]; }
if ! have go; then
  cannot "no Go for asynq: install it and run this again"
elif [ ! -x "$asynq" ] || newer; then
  echo "peers: building $asynq"
  if ! (cd benchmarks/peers/asynq && go build -trimpath -mod=readonly -o "../../../$asynq" .); then
    cannot "go could not build benchmarks/peers/asynq"
  fi
fi

exit "$status"
