"""Every crash point, tried: processes on a Faktory and a store in memory, by one clock.

`schedule` lets one process go on at a time, `network` is where faults happen, `truth` knows what
is so on the server and in the store, whoever believes what. `scenarios` tells what the processes
do, `explore` runs a scenario with each fault at each step, and `mutations` breaks the library on
purpose, to see that all this can fail.
"""
