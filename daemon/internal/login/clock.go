package login

// ofClocks are the reasons of refusals that could come of a wrong clock of the host's.
var ofClocks = map[string]bool{"wrong_code": true, "wrong_code_locks": true, "used_code": true, "wrong_bypass_code": true}

// doubted adds to a detail what only an administrator can do something about, and the person isn't told: what is
// known against the host's clock, to a refusal, and why nobody can tell which rule decides.
func (d *Dialogue) doubted(dec decision) decision {
	add := func(doubt string) {
		if doubt != "" && dec.detail != "" {
			doubt = "; " + doubt
		}
		dec.detail += doubt
	}
	if d.service.cfg.ClockDoubt != nil && ofClocks[dec.reason] {
		add(d.service.cfg.ClockDoubt())
	}
	add(d.rule.Doubt)
	return dec
}
