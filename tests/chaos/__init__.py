"""Chaos run: producers and workers on real servers under faults, then an audit of every job.

    python -m tests.chaos --seconds 60 --seed 1

Producer and worker processes push and run jobs of a few keys. Their connections go through proxies
that delay, cut and truncate. Processes are killed and stopped, servers are restarted. There are
three policies: the default, one for exclusive jobs, and one in which the newest job replaces the
older one. Each process writes a journal. When the faults are over and the server has drained, the
audit reads the journals. No job may be lost, and no job may be superseded by one that never runs.
Two live jobs of one key, and two exclusive runs at once, must be explained. No lock may be left.

A trial is a short run that is aimed at one race. The self-test (`tests.chaos.selftest`) plants bugs
in the processes of trials, and expects the audit to report the damage of each.
"""
