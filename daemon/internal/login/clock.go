package login

// ofClocks are the reasons of refusals that could come of a wrong clock of the host's.
var ofClocks = map[string]bool{"wrong_code": true, "wrong_code_locks": true, "used_code": true, "wrong_bypass_code": true}

// doubted adds to a refusal's detail what is known against the host's clock, which the person isn't told:
// only an administrator can do something about it.
func (d *Dialogue) doubted(dec decision) decision {
	if d.service.cfg.ClockDoubt == nil || !ofClocks[dec.reason] {
		return dec
	}
	doubt := d.service.cfg.ClockDoubt()
	if doubt != "" && dec.detail != "" {
		doubt = "; " + doubt
	}
	dec.detail += doubt
	return dec
}
