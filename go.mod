module github.com/totpd/totpd

go 1.26
