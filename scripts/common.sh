# Functions of the provisioning scripts, which source this file: `source …/common.sh NAME`.
# The caller exits with $status: 0 on a laptop, where tests skip, and 1 if CI=true, where they fail.
set -euo pipefail

script=$1
status=0

# Reports in one line what cannot be provisioned.
cannot() {
  echo "$script: $*" >&2
  if [ "${CI:-}" = true ]; then status=1; fi
}

have() { command -v "$1" >/dev/null 2>&1; }

# Holds a lock file until the script ends: of two runs at once, the second finds the work done.
hold_lock() {
  if have flock; then
    exec 9>"$1"
    flock 9
  fi
}
