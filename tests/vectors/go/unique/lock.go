package unique

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	faktory "github.com/contribsys/faktory/client"
	worker "github.com/contribsys/faktory_worker_go"
	"github.com/redis/go-redis/v9"
)

// A transition: gives the lock another value, or releases it, if it has one of two values.
var transition = redis.NewScript(`
local found = redis.call("GET", KEYS[1])
if found == ARGV[1] or found == ARGV[2] then
  if ARGV[3] == "" then redis.call("DEL", KEYS[1])
  else redis.call("SET", KEYS[1], ARGV[3], "EX", ARGV[4]) end
end
return found`)

// These errors prove that a job was not stored; any other may have come after that (§5).
var refusal = regexp.MustCompile(
	`^(jobs must have an? |jobs cannot be reserved for |invalid timestamp|[A-Z]{2,} )`)

// Push pushes a new job, due at once, unless an equal job is there. It returns the jid of the job
// that is there.
func Push(
	ctx context.Context, r *redis.Client, c *faktory.Client, job *faktory.Job, ttl int,
) (string, error) {
	leased, held := job.Jid+"?", job.Jid
	if len(held) < 8 || strings.HasSuffix(held, "?") {
		return "", fmt.Errorf("%s is no jid", held)
	}
	_, says := job.GetCustom("unique_for")
	_, until := job.GetCustom("unique_until")
	if says || until || job.At != "" || ttl < 1 || ttl > 315_360_000 {
		return "", errors.New("not for such jobs")
	}
	args, err := json.Marshal(job.Args)
	if err != nil {
		return "", err
	}
	// Marshal writes \ufffd for bytes that are no text. A backslash in the text is written twice.
	if bytes.Contains(bytes.ReplaceAll(args, []byte(`\\`), nil), []byte(`\ufffd`)) {
		return "", errors.New("args: text that is not UTF-8")
	}
	key, err := Key(Work{Jobtype: job.Type, Args: args})
	if err != nil {
		return "", err
	}
	acquire := redis.SetArgs{Mode: "NX", Get: true, TTL: time.Minute}
	found, err := r.SetArgs(ctx, key, leased, acquire).Result()
	if strings.HasSuffix(found, "?") {
		return "", fmt.Errorf("%s is unconfirmed: wait, then use a new jid", found)
	} else if err != redis.Nil {
		return found, err
	}
	stamp := map[string]any{"v": 2, "key": key, "owner": held, "until": "success", "ttl": ttl}
	stamped := *job
	stamped.Custom = maps.Clone(job.Custom) // other jobs may share it
	refused, err := c.PushBulk([]*faktory.Job{stamped.SetCustom("unique", stamp)})
	if err != nil {
		return "", err // the job may be there: its lock is left to the lease
	}
	if why := refused[job.Jid]; why != "" {
		held, err = "", errors.New(why)
		if !refusal.MatchString(why) {
			return "", err // likewise
		}
	}
	ctx = context.WithoutCancel(ctx)
	_ = transition.Run(ctx, r, []string{key}, leased, leased, held, ttl).Err() // or the lease runs out
	return held, err
}

// ReleaseLocks is the first middleware of a worker: it releases a job's lock after its ACK.
func ReleaseLocks(r *redis.Client) worker.MiddlewareFunc {
	return func(ctx context.Context, job *faktory.Job, next func(context.Context) error) error {
		stamp, known := StampOf(job)
		if !known {
			return next(ctx) // no lock, or a stamp to be left alone
		}
		release := func() bool {
			ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer done()
			keys := []string{stamp.key}
			err := transition.Run(ctx, r, keys, stamp.owner, stamp.owner+"?", "", 0).Err()
			return err == nil || err == redis.Nil
		}
		reserved := time.Duration(job.ReserveFor) * time.Second
		if reserved == 0 {
			reserved = 30 * time.Minute
		}
		over := time.Now().Add(min(max(reserved, time.Minute), 24*time.Hour) - 10*time.Second)
		if stamp.until == "start" && !release() && stamp.enforce {
			return requeue(ctx, *job, over)
		}
		if err := next(ctx); err != nil || stamp.until != "success" || time.Now().After(over) {
			return err // the worker reports it, and the lock is left to its TTL
		}
		// The worker sends its own ACK after this one; the server finds no job and answers OK.
		ack := func(c *faktory.Client) error { return c.Ack(job.Jid) }
		if worker.HelperFor(ctx).With(ack) == nil && time.Now().Before(over) {
			release() // else its TTL ends it
		}
		return nil
	}
}

// requeue pushes a copy due in 10 s: the job must not start while its lock stands. The worker sends
// ACK. A FAIL could be the job's last: so the copy is pushed until a reply comes.
func requeue(ctx context.Context, job faktory.Job, over time.Time) error {
	job.EnqueuedAt = ""
	job.At = time.Now().Add(10 * time.Second).UTC().Format(time.RFC3339Nano)
	for {
		job.Jid = faktory.RandomJid()
		var refused map[string]string
		err := worker.HelperFor(ctx).With(func(c *faktory.Client) (err error) {
			refused, err = c.PushBulk([]*faktory.Job{&job})
			return err
		})
		if why := refused[job.Jid]; why != "" {
			return errors.New(why)
		}
		if err == nil || time.Now().After(over) {
			return err
		}
		time.Sleep(time.Second)
	}
}
