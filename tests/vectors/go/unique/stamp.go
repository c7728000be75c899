package unique

import (
	"regexp"
	"strings"

	faktory "github.com/contribsys/faktory/client"
)

// Stamp has the fields that a worker needs to release a job's lock.
type Stamp struct {
	key, owner, until string
	enforce           bool
}

// StampOf reads the stamp of a fetched job; false if it has none, or one to be left alone.
func StampOf(job *faktory.Job) (Stamp, bool) {
	written, _ := job.Custom["unique"].(map[string]any)
	text := func(name string) string { found, _ := written[name].(string); return found }
	is := func(name string, usual bool) bool {
		found, there := written[name]
		known, isBool := found.(bool)
		return there && isBool && known || !there && usual
	}
	known := oneOf(written["v"], 1.0, 2.0) && oneOf(written["until"], "success", "start", "expiry")
	for _, name := range []string{"renew", "enforce", "exclusive", "replaceable"} {
		if found, there := written[name]; there {
			_, isBool := found.(bool)
			known = known && isBool
		}
	}
	if found, there := written["on_death"]; there {
		known = known && oneOf(found, "release", "keep")
	}
	if found := written["replaces"]; found != nil {
		replaced, _ := found.(string)
		known = known && isOwner(replaced)
	}
	ttl, _ := written["ttl"].(float64)
	s := Stamp{text("key"), text("owner"), text("until"), is("enforce", true)}
	known = known && ttl >= 1 && ttl <= 315_360_000 && isOwner(s.owner)
	return s, known && len(s.key) <= 1_568 && lockKey.MatchString(s.key)
}

// No other key of the same Redis can be named by a stamp.
var lockKey = regexp.MustCompile(`^unique:1:[^{}]+:[A-Za-z0-9_-]{22}$`)

func isOwner(text string) bool {
	return text != "" && len(text) <= 512 && !strings.HasSuffix(text, "?")
}

func oneOf(found any, values ...any) bool {
	for _, value := range values {
		if found == value {
			return true
		}
	}
	return false
}
