"""The lapses that explain why two live jobs of one key can be, each with the words for it."""

from __future__ import annotations

REASONS = {
    "redis_forgot": "all locks were lost with it, and this one was set before",
    "unguarded": "one of the two was pushed without a lock, the store being away",
    "push_open": "a push had no answer: only its lease stood, or it went out once more",
    "producer_stopped": "its producer stood still, or was killed, amid the push, past its lease",
    "confirmed_too_late": "its producer could not confirm it within its lease, and said so",
    "waited_longer_than_ttl": "the job waited longer in its queue than ttl, and was not found held",
    "store_error": "the store failed the lock's hold or confirm, and its earlier time ran out",
    "put_back_open": "a copy was put back, and the ACK of the first was not answered",
    "reservation_expired": "its reservation ran out, no ACK having been answered",
    "cut_off_at_its_end": "its worker was to end, and did not hear any more that it was done",
}
