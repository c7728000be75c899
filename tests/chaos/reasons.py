"""The lapses that explain why two jobs of one key can live or run, each with the words for it."""

from __future__ import annotations

REASONS = {
    "redis_forgot": "all locks were lost with it, and this one was set before",
    "unguarded": "one of the two was pushed without a lock: no store, or a mere lease to replace",
    "push_open": "a push had no answer: only its lease stood, or it went out once more",
    "producer_stopped": "its producer stood still, or was killed, amid the push, past its lease",
    "confirmed_too_late": "its producer could not confirm it within its lease, and said so",
    "waited_longer_than_ttl": "the job waited longer in its queue than ttl, and was not found held",
    "store_error": "the store failed the lock's hold or confirm, and its earlier time ran out",
    "requeue_open": "a copy was put back, and the ACK of the first was not answered",
    "reservation_expired": "its reservation ran out, no ACK having been answered",
    "freed_unheard": "its lock was freed to start it, which was not answered, so it was put back",
    "replaced_at_once": "another was pushed in the place of the same one, and had the lock",
    "place_was_taken": "the one that it replaced had ended, and another had the lock first",
    "swap_open": "its producer could not see to its place: stopped, killed, or not answered",
    "fetched_before_swap": "it was replaced, and a worker had it before the swap was known",
    "aside_unasked": "it was replaced, and the store was away when it would have been told",
    "tombstone_over": "it was replaced, and fetched when its tombstone had run out",
    "ran_past_its_reservation": "a handler went on until its run lock had run out",
    "stood_still": "a worker stood still until its run lock had run out, and began then",
    "cut_off_at_its_end": "its worker was to end, and did not hear any more that it was done",
}
