"""Jobs that a killed Faktory lost: those between two commands of its storage at that moment.

Faktory moves a job by two commands to its storage (Faktory 1.10):

- FETCH pops it from its queue, then adds it to the working set (manager/fetch.go:187,
  manager/working.go:145);
- promotion removes a due job from its set, then pushes it to its queue
  (storage/sorted_redis.go:284);
- FAIL, or an expired reservation, removes it from the working set, then adds it to the retries
  (manager/retry.go:96 and 144).

PUSH and ACK are one command each: a push that was answered is in the storage. A job that SIGKILL
hits between two such commands is in no place of the storage.
"""

from __future__ import annotations

MOVE_SECONDS = 1.0
"""Time before a kill within which a job that it lost was seen in the storage, or stored there.

A move takes milliseconds: Faktory sends its second command on the reply to the first, to a server
on the same machine. A second allows for a busy machine. After 5 s the server itself gives up a
command (server/server.go:399, server/commands.go:246).
"""


def owners_lost_by_kills(history, jobs):
    """Return the owners of the jobs that a killed Faktory lost itself.

    If more jobs are missing than one kill can have hit, that kill explains none of them.

    Args:
        history: the run's history.
        jobs: the accepted jobs that never ran to their end and that the server does not have.
    """
    lost = set()
    for kill in history.faktory_kills:
        owners = {job.owner for job in jobs if _was_moved_at(history, job, kill)}
        if len(owners) <= kill["most_moves"]:
            lost |= owners
    return lost


def _was_moved_at(history, job, kill):
    """Return whether a job was between two commands of the storage when Faktory was paused.

    The pause comes before the kill, and the storage is read `MOVE_SECONDS` before the pause and
    during it. The job must have been seen in the storage by then, and not during the pause. Nothing
    was seen of it later, and no ACK had been sent.
    """
    paused, before = kill["began"], kill["before"]
    stored = history.stored_times(job.owner)
    earlier = [when for when in stored if when <= paused]
    return (
        (job.owner in before["owners"] or any(when >= before["began"] for when in earlier))
        and job.owner not in kill["owners"]
        and len(earlier) == len(stored)
        and not any(fetch["mono"] > paused for fetch in job.fetches)
        and not any(_ends_or_begins_job(report, earlier, paused) for report in job.reports)
    )


def _ends_or_begins_job(report, stored, paused):
    """Return whether a report shows that the job was over at the kill, or not lost by it.

    A requeue ends a job if the storage never got the copy.
    """
    if report.began > paused:
        return True
    is_requeue = report.type == "requeue" and report.status == "accepted"
    is_over = is_requeue and not any(when >= report.began for when in stored)
    return report.type == "ack" or is_over
