"""Simulation: processes on an in-memory Faktory and store, with each fault at each step.

- `schedule`: tasks that run one at a time, by one clock.
- `world`, `process`: one run of a scenario, and its producers and workers.
- `network`, `faults`: the connections of a process, and the faults that can happen there.
- `checker`, `job_checker`, `lock_checker`, `result_checker`, `superseded_checker`: the checks of
  all promises against the real state of server and store.
- `*_scenarios`: which processes there are, and what each does.
- `exploration`: run a scenario with each fault at each step.
- `*_mutations`: the library with one rule removed. The simulation must detect each.
"""
