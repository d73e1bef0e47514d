package main

import "os"

// newFileHint is for a file that couldn't be made.
const newFileHint = "name a file that doesn't exist yet, in a directory of yours"

// newFile makes a file for its owner alone (mode 0600), for what is secret. It never touches one that exists,
// nor follows a link.
func newFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// discard deletes a new file: what it was made for didn't happen.
func discard(f *os.File) {
	f.Close()
	os.Remove(f.Name())
}
