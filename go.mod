module github.com/totpd/totpd

go 1.26

require (
	github.com/coreos/go-systemd/v22 v22.7.0 // indirect
	github.com/msteinert/pam/v2 v2.1.0 // indirect
)
