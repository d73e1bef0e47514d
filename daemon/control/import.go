package control

import "context"

// ImportMax is how many users one ImportRequest names at the most.
const ImportMax = 50

// ImportRequest takes users over from another program, each as a whole or not at all. One that fails keeps
// none of the others out.
type ImportRequest struct {
	Users   []ImportUser `json:"users"`
	Replace bool         `json:"replace,omitempty"` // also what those have who are enrolled already
	DryRun  bool         `json:"dry_run,omitempty"` // say how it would go, and change nothing
}

// ImportUser is what another program keeps of one user.
type ImportUser struct {
	User     string         `json:"user"`
	Devices  []ImportDevice `json:"devices"`
	Recovery []Secret       `json:"recovery,omitempty"` // codes of 8 digits, each good once
}

// ImportDevice makes codes.
type ImportDevice struct {
	Name      string  `json:"name"`
	Secret    Secret  `json:"secret"` // hexadecimal
	Digits    int     `json:"digits"`
	Algorithm string  `json:"algorithm"`
	Period    int     `json:"period,omitempty"`  // seconds; of an event-based device 0
	Kind      string  `json:"kind,omitempty"`    // "hotp": event-based
	Counter   int64   `json:"counter,omitempty"` // of an event-based device: the next one
	Drift     int     `json:"drift,omitempty"`   // by how many steps its clock is ahead of the host's
	Used      []int64 `json:"used,omitempty"`    // steps whose code is not accepted any more
}

// Imported answers an ImportRequest: one outcome for each user, in the same order.
type Imported struct {
	Users []ImportOutcome `json:"users"`
}

// ImportOutcome is how it went with one user.
type ImportOutcome struct {
	User  string `json:"user"`            // by the name that the host knows
	Error *Error `json:"error,omitempty"` // why nothing was taken over
}

// Import takes users over.
func (c *Client) Import(ctx context.Context, r ImportRequest) (Imported, error) {
	done, err := ask[Imported](ctx, c, VerbImport, r)
	if err == nil && len(done.Users) != len(r.Users) {
		return Imported{}, c.badAnswer("not an outcome for each user")
	}
	return done, err
}
