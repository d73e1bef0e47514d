package server

import (
	"context"

	"github.com/totpd/totpd/daemon/control"
)

func (c *call) rename(ctx context.Context, r control.RenameRequest) (control.Account, error) {
	return c.enrolment().Rename(ctx, c.user, r.From, r.To)
}

func (c *call) remove(ctx context.Context, r control.RemoveRequest) (control.Account, error) {
	consent, err := c.consent(ctx, r.Password, r.Code)
	if err != nil {
		return control.Account{}, err
	}
	return c.enrolment().Remove(ctx, c.user, r.Name, consent)
}

// export is root's, with the consent of the user: the user's code.
func (c *call) export(ctx context.Context, r control.ExportRequest) (control.Export, error) {
	return c.enrolment().Export(ctx, c.user, string(r.Code))
}
