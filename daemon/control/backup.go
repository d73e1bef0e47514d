package control

import "time"

// BackupReport is what totpd -backup says on its standard output.
type BackupReport struct {
	Accounts int      `json:"accounts"`
	Broken   []string `json:"broken,omitempty"` // whose accounts can't be read: copied as they are
	KeyFile  string   `json:"key_file"`
	WithKey  bool     `json:"with_key"` // the key is in the backup
}

// RestoreReport is what totpd -restore says on its standard output.
type RestoreReport struct {
	Accounts  int       `json:"accounts"`
	Broken    []string  `json:"broken,omitempty"` // whose accounts can't be read, in the backup already
	Made      time.Time `json:"made,omitzero"`    // the backup
	Host      string    `json:"host,omitempty"`   // that it was made on
	Before    string    `json:"before,omitempty"` // the file that has the accounts as they were
	KeyFile   string    `json:"key_file,omitempty"`
	KeyBefore string    `json:"key_before,omitempty"` // the file that has the key as it was
}

// LossReport is what totpd -accept-loss says on its standard output.
type LossReport struct {
	New      bool     `json:"new"` // nothing was left: nobody is enrolled
	Accounts int      `json:"accounts"`
	Broken   []string `json:"broken,omitempty"` // whose accounts can't be read
}
