// asynq: unique tasks, enqueued one after the other, as its client has no call for many at once.
//
// Started as `asynq REDIS`; says `ready`, and then for each line `bulk COUNT` on stdin how many
// seconds that took. Whoever asks flushes Redis before.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

const lease = time.Minute

func main() {
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(url string) error {
	at, err := asynq.ParseRedisURI(url)
	if err != nil {
		return err
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	client, admin := asynq.NewClient(at), redis.NewClient(options)
	defer client.Close()
	defer admin.Close()

	if _, err := bulk(client, 100); err != nil {
		return err
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var count int
		if _, err := fmt.Sscanf(lines.Text(), "bulk %d", &count); err != nil {
			return fmt.Errorf("no such operation: %s", lines.Text())
		}
		took, err := bulk(client, count)
		if err != nil {
			return err
		}
		if err := makeSure(admin, count); err != nil {
			return err
		}
		fmt.Println(took.Seconds())
	}
	return lines.Err()
}

func bulk(client *asynq.Client, count int) (time.Duration, error) {
	start := time.Now()
	for n := range count {
		payload, err := json.Marshal([]any{n, "welcome"})
		if err != nil {
			return 0, err
		}
		task := asynq.NewTask("SendMail", payload)
		if _, err := client.Enqueue(task, asynq.Unique(lease)); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// Each task has a key of its own and one for its lock; the queue has one for all.
func makeSure(admin *redis.Client, count int) error {
	pending, err := admin.LLen(context.Background(), "asynq:{default}:pending").Result()
	if err != nil {
		return err
	}
	keys, err := admin.DBSize(context.Background()).Result()
	if err != nil {
		return err
	}
	if pending != int64(count) || keys != 2*pending+1 {
		return fmt.Errorf("%d tasks are pending instead of %d, in %d keys", pending, count, keys)
	}
	return nil
}
