package audit

import "context"

type originKey struct{}

// WithOrigin returns a context that carries what all events of one login have in common: where it comes
// from, and its reference.
func WithOrigin(ctx context.Context, e Event) context.Context {
	return context.WithValue(ctx, originKey{}, e)
}

// OriginOf returns the event that the context carries, or one with the caller alone.
func OriginOf(ctx context.Context) Event {
	if e, ok := ctx.Value(originKey{}).(Event); ok {
		return e
	}
	return Event{Caller: CallerOf(ctx)}
}
