// Package unique acquires and releases the locks of jobs by docs/key-format.md.
package unique

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

const (
	deepest = 200
	longest = 315_360_000
)

var position = regexp.MustCompile(`^(0|[1-9][0-9]{0,15})$`)

// Work is the part of a job, and of the policy of its jobtype, that makes its key.
type Work struct {
	Jobtype string
	Queue   string
	Args    json.RawMessage
	Custom  map[string]any

	Scope    string
	By       []any           // paths into args: json.Number, or text
	Key      json.RawMessage // chosen by code, instead of args
	PerQueue bool
}

// Key is the Redis key that stands for the work, by docs/key-format.md.
func Key(work Work) (string, error) {
	text, err := Canonical(work)
	if err != nil {
		return "", err
	}
	name := work.Jobtype
	if own, _ := work.saysItself(); work.Scope != "" && !own {
		name = work.Scope
	}
	digest := sha256.Sum256(text)
	escaped := strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D").Replace(name)
	return "unique:1:" + escaped + ":" + base64.RawURLEncoding.EncodeToString(digest[:16]), nil
}

// Canonical is the text that is digested.
func Canonical(work Work) ([]byte, error) {
	own, err := work.saysItself()
	if err != nil {
		return nil, err
	}
	if own {
		work.Scope, work.By, work.Key, work.PerQueue = "", nil, nil, true
	}
	if !utf8.ValidString(work.Jobtype + work.Scope + work.Queue) {
		return nil, errors.New("jobtype, scope or queue is not UTF-8")
	}
	if work.Jobtype == "" || work.By != nil && (work.Key != nil || len(work.By) == 0) {
		return nil, errors.New("no jobtype, or no selection")
	}
	args, err := value(work.Args) // all of them: the whole job is sent
	if err != nil {
		return nil, err
	}
	if _, isList := args.([]any); !isList {
		return nil, errors.New("args are no list")
	}
	described := map[string]any{"jobtype": work.Jobtype}
	if work.Scope != "" {
		described["jobtype"] = work.Scope
	}
	switch {
	case work.By != nil:
		described["by"], described["args"], err = selected(args, work.By)
	case work.Key != nil:
		described["key"], err = value(work.Key)
	default:
		described["args"] = args
	}
	if err != nil {
		return nil, err
	}
	if work.PerQueue {
		described["queue"] = "default"
		if work.Queue != "" {
			described["queue"] = work.Queue
		}
	}
	text, err := json.Marshal(described)
	if err != nil {
		return nil, err
	}
	return jcs.Transform(text)
}

// saysItself reports whether the job itself says that it is unique, by Enterprise's rules.
func (work Work) saysItself() (bool, error) {
	unique, until := work.Custom["unique_for"], work.Custom["unique_until"]
	if unique == nil && until == nil {
		return false, nil
	}
	switch unique.(type) {
	case json.Number, float64, int, uint:
		seconds, err := strconv.ParseFloat(fmt.Sprint(unique), 64)
		isKnown := until == nil || fmt.Sprint(until) == "success" || fmt.Sprint(until) == "start"
		if err == nil && seconds >= 1 && seconds <= longest && isKnown {
			return true, nil
		}
	}
	return false, fmt.Errorf("impossible words: %v, %v", unique, until)
}

// value reads JSON that every language reads alike, and refuses everything else. It brings the JSON
// into its canonical form first: encoding/json would turn a lone surrogate into U+FFFD silently.
func value(text json.RawMessage) (any, error) {
	tokens := json.NewDecoder(bytes.NewReader(text))
	tokens.UseNumber()
	for depth := 0; ; {
		token, err := tokens.Token()
		if token == nil && err != nil {
			break // at the end, or if it is no JSON, which Transform reports
		}
		switch token := token.(type) {
		case json.Delim:
			if depth += map[json.Delim]int{'[': 1, '{': 1, ']': -1, '}': -1}[token]; depth > deepest {
				return nil, fmt.Errorf("nested deeper than %d levels", deepest)
			}
		case json.Number:
			if _, err := integer(token); !strings.ContainsAny(token.String(), ".eE") && err != nil {
				return nil, err
			}
		}
	}
	wrapped := append(append([]byte("["), text...), ']') // Transform takes no bare number or text
	canonical, err := jcs.Transform(wrapped)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(canonical))
	decoder.UseNumber()
	var values []any
	if err := decoder.Decode(&values); err != nil || len(values) != 1 {
		return nil, fmt.Errorf("not one value: %w", err)
	}
	return values[0], nil
}

func integer(number json.Number) (int64, error) {
	whole, err := strconv.ParseInt(number.String(), 10, 64)
	if err != nil || whole > 1<<53-1 || whole < -(1<<53-1) {
		return 0, fmt.Errorf("%s is beyond ±(2**53-1) and would be rounded", number)
	}
	return whole, nil
}

func selected(args any, by []any) (paths, values []any, err error) {
	for _, path := range by {
		switch path.(type) {
		case string, json.Number, int:
		default:
			return nil, nil, fmt.Errorf("%v is not a path into args", path)
		}
		steps := strings.Split(fmt.Sprint(path), ".")
		first, err := integer(json.Number(steps[0]))
		if err != nil || !position.MatchString(steps[0]) || strings.Contains(fmt.Sprint(path)+".", "..") {
			return nil, nil, fmt.Errorf("%v is not a path into args", path)
		}
		found := args
		for _, step := range steps {
			var there bool
			switch node := found.(type) {
			case []any:
				i, err := strconv.Atoi(step)
				if there = err == nil && position.MatchString(step) && i < len(node); there {
					found = node[i]
				}
			case map[string]any:
				found, there = node[step]
			}
			if !there {
				return nil, nil, fmt.Errorf("args have no %v", path)
			}
		}
		if len(steps) == 1 {
			path = first
		}
		paths, values = append(paths, path), append(values, found)
	}
	return paths, values, nil
}
