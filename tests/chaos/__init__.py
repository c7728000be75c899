"""The chaos run: producers and workers on real servers, under faults, and the accounts afterwards.

    python -m tests.chaos --seconds 60 --seed 1

Processes push and work jobs of a few keys through proxies that delay, cut and truncate; processes
are killed and stopped, servers restarted. The jobs are of three policies: the usual one, one whose
jobs exclude each other, and one whose newest wins. Everything is journalled. When the faults are
over and the server has nothing left to do, the journals are read: no job may be lost, nor step
aside for none that runs; no two live jobs of one key, and no two that run at once and exclude each
other, are left unexplained; and no lock is left behind.
"""
