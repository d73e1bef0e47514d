package main

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

// newGA makes a folder with each user's state for google-authenticator: replay protection on, three
// codes good at a time as in the others, no rate limit.
func newGA(dir string, users []user) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, u := range users {
		text := u.base32() + "\n\" TOTP_AUTH\n\" DISALLOW_REUSE\n\" WINDOW_SIZE 3\n"
		if err := os.WriteFile(filepath.Join(dir, u.name), []byte(text), 0o400); err != nil {
			return err
		}
	}
	return nil
}

// newOATH makes pam_oath's file with the users, evenly among others. It refuses replays by itself.
func newOATH(path string, users []user, total int) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	secret := make([]byte, 20)
	for i, u := range users {
		fmt.Fprintf(w, "HOTP/T30/6\t%s\t-\t%s\n", u.name, hex.EncodeToString(u.secret))
		for other := range total*(i+1)/len(users) - total*i/len(users) - 1 {
			rand.Read(secret)
			fmt.Fprintf(w, "HOTP/T30/6\tx%d.%d\t-\t%s\n", i, other, hex.EncodeToString(secret))
		}
	}
	return w.Flush()
}

// services is a folder of PAM services.
type services string

func newServices(dir string) (services, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	s := services(dir)
	return s, s.add("other", "pam_deny.so")
}

// add makes a service of one module. The name must be in lower case.
func (s services) add(name, module string) error {
	return os.WriteFile(filepath.Join(string(s), name), []byte("auth required "+module+"\n"), 0o600)
}
