// The Go program of the tests:
//
//	vectors keys keys.json            the key of each case, or why it has none, as JSON
//	vectors stamps life.json          whether it can read the stamp of each case, as JSON
//	vectors push JOB TTL              pushes a job; prints the jid that is there then
//	vectors work [plain] JOBTYPE…     works until SIGTERM; plain: without locks
//
// FAKTORY_URL and REDIS_URL name the servers. The first argument of a job can be "fail", or
// "wait" with seconds as the second.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	faktory "github.com/contribsys/faktory/client"
	worker "github.com/contribsys/faktory_worker_go"
	"github.com/redis/go-redis/v9"

	"vectors/unique"
)

type vector struct {
	Jobtype string         `json:"jobtype"`
	Queue   string         `json:"queue"`
	Args    string         `json:"args"`
	Custom  map[string]any `json:"custom"`
	Policy  struct {
		Scope    string  `json:"scope"`
		By       []any   `json:"by"`
		Key      *string `json:"key"`
		PerQueue bool    `json:"per_queue"`
	} `json:"policy"`
}

type answer struct {
	Canonical string `json:"canonical,omitempty"`
	Key       string `json:"key,omitempty"`
	Refused   string `json:"refused,omitempty"`
}

func (v vector) answer() answer {
	work := unique.Work{
		Jobtype: v.Jobtype, Queue: v.Queue, Args: json.RawMessage(v.Args), Custom: v.Custom,
		Scope: v.Policy.Scope, By: v.Policy.By, PerQueue: v.Policy.PerQueue,
	}
	if v.Policy.Key != nil {
		work.Key = json.RawMessage(*v.Policy.Key)
	}
	key, err := unique.Key(work)
	if err != nil {
		return answer{Refused: err.Error()}
	}
	canonical, err := unique.Canonical(work)
	must(err)
	return answer{Canonical: string(canonical), Key: key}
}

func keys(file string) {
	text, err := os.ReadFile(file)
	must(err)
	var vectors struct{ Cases []vector }
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	must(decoder.Decode(&vectors))
	answers := make([]answer, len(vectors.Cases))
	for i, v := range vectors.Cases {
		answers[i] = v.answer()
	}
	must(json.NewEncoder(os.Stdout).Encode(answers))
}

func stamps(file string) {
	text, err := os.ReadFile(file)
	must(err)
	var vectors struct{ Cases []struct{ Job faktory.Job } }
	must(json.Unmarshal(text, &vectors))
	known := make([]bool, len(vectors.Cases))
	for i := range vectors.Cases {
		_, known[i] = unique.StampOf(&vectors.Cases[i].Job)
	}
	must(json.NewEncoder(os.Stdout).Encode(known))
}

func push(r *redis.Client, text, ttl string) {
	job := faktory.NewJob("")
	must(json.Unmarshal([]byte(text), job))
	seconds, err := strconv.Atoi(ttl)
	must(err)
	client, err := faktory.Open()
	must(err)
	jid, err := unique.Push(context.Background(), r, client, job, seconds)
	must(err)
	fmt.Println(jid)
}

func work(r *redis.Client, words []string) {
	manager := worker.NewManager()
	if words[0] == "plain" {
		words = words[1:]
	} else {
		manager.Use(unique.ReleaseLocks(r))
	}
	for _, jobtype := range words {
		manager.Register(jobtype, func(ctx context.Context, args ...any) error {
			fmt.Println(worker.HelperFor(ctx).Jid())
			switch {
			case len(args) > 0 && args[0] == "fail":
				return errors.New("asked to fail")
			case len(args) > 1 && args[0] == "wait":
				time.Sleep(time.Duration(args[1].(float64) * float64(time.Second)))
			}
			return nil
		})
	}
	must(manager.Run())
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	options, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	switch words := os.Args[2:]; os.Args[1] {
	case "keys":
		keys(words[0])
	case "stamps":
		stamps(words[0])
	case "push":
		must(err)
		push(redis.NewClient(options), words[0], words[1])
	case "work":
		must(err)
		work(redis.NewClient(options), words)
	}
}
