package unique

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	faktory "github.com/contribsys/faktory/client"
	worker "github.com/contribsys/faktory_worker_go"
	"github.com/redis/go-redis/v9"
)

// A compared change: the lock gets another value, or is freed, if it has one of two.
var change = redis.NewScript(`
local found = redis.call("GET", KEYS[1])
if found == ARGV[1] or found == ARGV[2] then
  if ARGV[3] == "" then redis.call("DEL", KEYS[1])
  else redis.call("SET", KEYS[1], ARGV[3], "EX", ARGV[4]) end
end
return found`)

// Push pushes a job that is due at once, unless its equal is there: the jid of the one that is.
func Push(
	ctx context.Context, r *redis.Client, c *faktory.Client, job *faktory.Job, ttl int,
) (string, error) {
	args, err := json.Marshal(job.Args)
	if err != nil {
		return "", err
	}
	key, err := Key(Work{Jobtype: job.Type, Queue: job.Queue, Args: args, Custom: job.Custom})
	if err != nil {
		return "", err
	}
	leased, held := job.Jid+"?", job.Jid
	take := redis.SetArgs{Mode: "NX", Get: true, TTL: time.Minute}
	found, err := r.SetArgs(ctx, key, leased, take).Result()
	if strings.HasSuffix(found, "?") {
		return "", fmt.Errorf("push of %s unconfirmed: try again in a minute", found)
	} else if err != redis.Nil {
		return found, err
	}
	stamp := map[string]any{"v": 2, "key": key, "owner": held, "until": "success", "ttl": ttl}
	refused, err := c.PushBulk([]*faktory.Job{job.SetCustom("unique", stamp)})
	if err != nil {
		return "", err // the job may be there: its lock is left to the lease
	}
	if why := refused[job.Jid]; why != "" {
		held, err = "", errors.New(why)
	}
	_ = change.Run(ctx, r, []string{key}, leased, leased, held, ttl).Err() // or the lease runs out
	return held, err
}

// Frees is a worker's middleware, its first: it frees a job's lock once Faktory has its ACK.
func Frees(r *redis.Client) worker.MiddlewareFunc {
	return func(ctx context.Context, job *faktory.Job, next func(context.Context) error) error {
		var stamp struct {
			V                 int
			Key, Owner, Until string
			Enforce           bool
		}
		stamp.Enforce = true
		custom, _ := json.Marshal(job.Custom["unique"])
		readable := json.Unmarshal(custom, &stamp) == nil && (stamp.V == 1 || stamp.V == 2)
		if !readable || stamp.Key == "" || stamp.Owner == "" {
			return next(ctx) // no lock, or one to be left alone
		}
		free := func() bool {
			ctx, keys := context.WithoutCancel(ctx), []string{stamp.Key}
			err := change.Run(ctx, r, keys, stamp.Owner, stamp.Owner+"?", "", 0).Err()
			return err == nil || err == redis.Nil
		}
		reserved := time.Duration(job.ReserveFor) * time.Second
		if reserved == 0 {
			reserved = 30 * time.Minute
		}
		over := time.Now().Add(min(max(reserved, time.Minute), 24*time.Hour) - 10*time.Second)
		for stamp.Until == "start" && !free() && stamp.Enforce && time.Now().Before(over) {
			time.Sleep(time.Second)
		}
		if stamp.Until == "start" && time.Now().After(over) {
			return errors.New("its lock was not freed in time")
		}
		if err := next(ctx); err != nil || stamp.Until != "success" || time.Now().After(over) {
			return err // the worker reports it, and the lock is left to its TTL
		}
		// The worker sends an ACK of its own after this, which the server finds nothing to do for.
		ack := func(c *faktory.Client) error { return c.Ack(job.Jid) }
		if worker.HelperFor(ctx).With(ack) == nil && time.Now().Before(over) {
			free() // else its TTL does
		}
		return nil
	}
}
