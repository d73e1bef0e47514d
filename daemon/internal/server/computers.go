package server

import (
	"context"

	"github.com/totpd/totpd/daemon/control"
)

func (c *call) remembered(ctx context.Context, _ control.RememberedRequest) (control.Remembered, error) {
	return c.enrolment().Remembered(ctx, c.user)
}

// forget takes no proof of an owner: it makes logins ask for more, not for less.
func (c *call) forget(ctx context.Context, r control.ForgetRequest) (control.Remembered, error) {
	return c.enrolment().Forget(ctx, c.user, r)
}
