package audit

import (
	"context"
	"time"
)

// A Query is for events of the history. Zero fields limit nothing.
type Query struct {
	User      string
	Kind      Kind
	Reference string
	Since     time.Time
	After     int64 // an Entry's ID: those written later
	Before    int64 // an Entry's ID: those written earlier
	Own       bool  // only what the user may see of its own
	Limit     int
}

// Entry is an event as the history has it. An ID is larger than all before it.
type Entry struct {
	ID int64
	Event
}

type keepKey struct{}

// Keep returns a context for an Update of the store that has the event written in the same commit as the
// account. event is called once the account's change is judged, in the goroutine that writes, and returns
// what is then recorded with Kept set.
func Keep(ctx context.Context, event func() Event) context.Context {
	return context.WithValue(ctx, keepKey{}, event)
}

// KeptBy returns what Keep was given, or nil.
func KeptBy(ctx context.Context) func() Event {
	event, _ := ctx.Value(keepKey{}).(func() Event)
	return event
}
