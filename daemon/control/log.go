package control

import (
	"context"
	"time"
)

// LogMax is how many entries one answer to a LogRequest holds at the most.
const LogMax = 300

// LogRequest asks for the history of events: the newest, or those after After.
type LogRequest struct {
	User      string    `json:"user,omitempty"`
	Reference string    `json:"reference,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	After     int64     `json:"after,omitempty"`  // an entry's ID: the oldest of those written later
	Before    int64     `json:"before,omitempty"` // an entry's ID: only those written earlier
	Limit     int       `json:"limit,omitempty"`  // 0: LogMax
}

// Log are entries in the order in which they were written.
type Log struct {
	Entries []LogEntry `json:"entries"`
}

// LogEntry is one event. What is missing is empty; to a user who isn't an admin, so are Detail and Action.
type LogEntry struct {
	ID        int64     `json:"id"` // larger than all before it
	Time      time.Time `json:"time"`
	User      string    `json:"user"`
	Kind      string    `json:"kind"`
	Result    string    `json:"result"`
	Reason    string    `json:"reason,omitempty"`
	Service   string    `json:"service,omitempty"`
	Source    string    `json:"source,omitempty"`
	TTY       string    `json:"tty,omitempty"`
	Caller    string    `json:"caller_uid,omitempty"`
	Device    string    `json:"device,omitempty"`
	Reference string    `json:"reference,omitempty"`
	Detail    string    `json:"detail,omitempty"`
	Action    string    `json:"action,omitempty"`
}

// Log asks for a user's history.
func (c *Client) Log(ctx context.Context, r LogRequest) (Log, error) {
	return ask[Log](ctx, c, VerbLog, r)
}

// LogAll asks for everybody's history.
func (c *Client) LogAll(ctx context.Context, r LogRequest) (Log, error) {
	return ask[Log](ctx, c, VerbLogAll, r)
}
