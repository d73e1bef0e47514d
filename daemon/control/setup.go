package control

import "context"

// SetupRequest reports a check of what totpctl setup has done: what of it is no longer there. Nothing: all is in
// place.
type SetupRequest struct {
	Lost []string `json:"lost"`
}

// Setup reports it. The daemon tells the journal and the subscribers when that has changed.
func (c *Client) Setup(ctx context.Context, r SetupRequest) error {
	_, err := ask[Nothing](ctx, c, VerbSetup, r)
	return err
}
