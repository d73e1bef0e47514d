package control

import "context"

// RenameRequest gives a device another name.
type RenameRequest struct {
	User string `json:"user,omitempty"`
	From string `json:"from"`
	To   string `json:"to"`
}

// RemoveRequest takes one of several devices away. Password and Code are the owner's; an admin needs neither.
type RemoveRequest struct {
	User     string `json:"user,omitempty"`
	Name     string `json:"name"`
	Password Secret `json:"password,omitempty"`
	Code     Secret `json:"code,omitempty"`
}

// ExportRequest asks for the keys of a user. Code is the user's, who consents with it.
type ExportRequest struct {
	User string `json:"user"`
	Code Secret `json:"code"`
}

// Export is the keys of a user.
type Export struct {
	User    string           `json:"user"`
	Devices []ExportedDevice `json:"devices"`
}

// ExportedDevice is a device with its key.
type ExportedDevice struct {
	Name string `json:"name"`
	URI  Secret `json:"uri"` // otpauth://...
}

// Rename gives a device another name.
func (c *Client) Rename(ctx context.Context, r RenameRequest) (Account, error) {
	return ask[Account](ctx, c, VerbRename, r)
}

// Remove takes one of several devices away.
func (c *Client) Remove(ctx context.Context, r RemoveRequest) (Account, error) {
	return ask[Account](ctx, c, VerbRemove, r)
}

// Export asks for the keys of a user.
func (c *Client) Export(ctx context.Context, r ExportRequest) (Export, error) {
	return ask[Export](ctx, c, VerbExport, r)
}
