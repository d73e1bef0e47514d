package control

import (
	"context"
	"time"
)

// RecoveryCodesRequest replaces the recovery codes. Password and Code are the owner's; root needs neither.
type RecoveryCodesRequest struct {
	User     string `json:"user,omitempty"`
	Password Secret `json:"password,omitempty"`
	Code     Secret `json:"code,omitempty"`
}

// RecoveryCodes are shown to the person, once.
type RecoveryCodes struct {
	User  string   `json:"user"`
	Codes []Secret `json:"recovery_codes"`
}

// BypassRequest makes a code that lets the user in without a device.
type BypassRequest struct {
	User string `json:"user"`
	For  int    `json:"for"` // seconds
	Uses int    `json:"uses"`
}

// BypassCode is shown to the admin, once.
type BypassCode struct {
	User string `json:"user"`
	Code Secret `json:"code"`
	Bypass
}

// Bypass is what may be told of a bypass code.
type Bypass struct {
	ID      string    `json:"id"`
	By      string    `json:"by"` // who made it: a uid
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires"`
	Uses    int       `json:"uses"` // that are left
}

// RevokeRequest ends a bypass code.
type RevokeRequest struct {
	User string `json:"user"`
	ID   string `json:"id,omitempty"` // empty: all of the user's
}

// Revoked says how many bypass codes were ended.
type Revoked struct {
	User    string `json:"user"`
	Revoked int    `json:"revoked"`
}

// NewRecoveryCodes replaces the recovery codes.
func (c *Client) NewRecoveryCodes(ctx context.Context, r RecoveryCodesRequest) (RecoveryCodes, error) {
	return ask[RecoveryCodes](ctx, c, VerbRecoveryCodes, r)
}

// Bypass makes a bypass code.
func (c *Client) Bypass(ctx context.Context, r BypassRequest) (BypassCode, error) {
	return ask[BypassCode](ctx, c, VerbBypass, r)
}

// Revoke ends bypass codes.
func (c *Client) Revoke(ctx context.Context, r RevokeRequest) (Revoked, error) {
	return ask[Revoked](ctx, c, VerbRevoke, r)
}
