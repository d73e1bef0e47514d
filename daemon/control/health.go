package control

import "context"

// Health is how that went.
type Health struct {
	Store Tried `json:"store"` // a small change, until it was on the disk
	Names Tried `json:"names"` // a user and a group that no source of the name service knows, so that all are asked
}

// Tried is one thing that was tried.
type Tried struct {
	Fault Fault  `json:"fault,omitempty"` // empty: it went well
	Cause string `json:"cause,omitempty"`
}

// Fault is what is known of a cause, for remedies.
type Fault string

// The faults.
const (
	FaultLocked   Fault = "locked"   // another program holds the database's lock
	FaultReplaced Fault = "replaced" // the database's file is gone, or another one
	FaultLost     Fault = "lost"     // the database lacks changes that were stored
	FaultOther    Fault = "other"
)

// Health has the daemon try what every login needs of it.
func (c *Client) Health(ctx context.Context) (Health, error) {
	return ask[Health](ctx, c, VerbHealth, Nothing{})
}
