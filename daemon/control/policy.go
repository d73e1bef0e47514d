package control

import (
	"context"
	"time"
)

// PolicyRequest asks what the rules say about one login.
type PolicyRequest struct {
	User    string `json:"user,omitempty"`
	Service string `json:"service,omitempty"` // of PAM; empty: sshd
	From    string `json:"from,omitempty"`    // an address, the name of a host, or "local"; empty: local
	Reach   bool   `json:"reach,omitempty"`   // tell also how far the rules reach
}

// Policy is what the rules say.
type Policy struct {
	User    string `json:"user"`
	Service string `json:"service"`
	From    string `json:"from"`
	// Rules are those that were looked at, in order: the last decides, unless it didn't match either, and
	// the default does. Where nobody can tell of some whether they match, the strictest of all these does.
	Rules     []PolicyRule `json:"rules"`
	Require   string       `json:"require"`             // exempt, optional or required
	EnrolBy   time.Time    `json:"enrol_by,omitzero"`   // until when who hasn't enrolled gets in all the same
	DaysLeft  int          `json:"days_left,omitempty"` // until then
	Doubt     string       `json:"doubt,omitempty"`     // why nobody can tell which rule decides, so that the strictest does
	MustEnrol bool         `json:"must_enrol"`          // was reset: it must be set up again, whatever the rule says
	Enrolled  bool         `json:"enrolled"`
	EnrolHere bool         `json:"enrol_here"` // who must enrol may do so in this very login
	Asks      PolicyAsks   `json:"asks"`
	Remember  int          `json:"remember"` // days for which a computer may be remembered
	Grace     int          `json:"grace"`    // minutes without another code in one terminal session
	// With Reach, whoever the user is: addresses that the rules tell from each other, and whether one of the
	// rules may have somebody enrol inside a login through the service.
	Addresses []string `json:"addresses,omitempty"`
	Enrols    bool     `json:"enrols,omitempty"`
	ByNetwork bool     `json:"by_network,omitempty"` // likewise: a rule depends on the network that a login comes from
	NoGroups  []string `json:"no_groups,omitempty"`  // likewise: groups of the rules that this host doesn't know
}

// PolicyRule is one rule of the configuration.
type PolicyRule struct {
	Line  int      `json:"line"`  // where it begins
	Unmet []string `json:"unmet"` // the keys of its conditions that are not met; none: it decides
	// Unknown are the keys of those of which nobody can tell.
	Unknown []string `json:"unknown,omitempty"`
}

// PolicyAsks is what a login asks for.
type PolicyAsks string

// What a login asks for.
const (
	AsksNothing PolicyAsks = "nothing"
	AsksCode    PolicyAsks = "code"
	AsksToEnrol PolicyAsks = "enrolment" // and nobody gets in without
	AsksTooMuch PolicyAsks = "refusal"   // a code is required of somebody who has no device and can't enrol in this login
)

// Policy asks what the rules say about one login.
func (c *Client) Policy(ctx context.Context, r PolicyRequest) (Policy, error) {
	return ask[Policy](ctx, c, VerbPolicy, r)
}
