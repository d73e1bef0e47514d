package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/totpd/totpd/daemon/control"
)

// keeper is where new recovery codes go: to a file of the person's, or else to the screen. The file is begun
// before anything is asked, and has its name once the codes are in it.
type keeper struct {
	shown bool   // they may be written to standard output
	path  string // of the file; empty: none
	file  *newFile
}

// open makes the file, if one is wanted.
func (k *keeper) open() (err error) {
	if k.path != "" {
		k.file, err = createFile(k.path)
	}
	return err
}

// errUnused lets go of a file that isn't needed.
var errUnused = errors.New("the file is not needed")

// remove deletes the file, unless the codes are in it.
func (k *keeper) remove() { k.end(errUnused) }

func (k *keeper) end(err error) {
	if k.file != nil {
		k.file.doneWith(err)
		k.file = nil
	}
}

// give hands the codes out. Without any there is nothing to keep, and no file is left.
func (k *keeper) give(c *command, user string, codes []control.Secret) error {
	if len(codes) == 0 {
		k.remove()
		return nil
	}
	var failure error
	if k.file != nil {
		failure = k.write(c, user, codes)
		k.end(failure)
		if failure == nil {
			c.say("%d recovery codes are in %s. Keep it where the device is not.", len(codes), printable(k.path))
			return nil
		}
	}
	if k.shown && !c.json { // JSON has them already
		c.say("\nRecovery codes of %s: each lets in once, in place of a code.", printable(user))
		c.say("Write them down and keep them where the device is not; they are not shown again.\n")
		if _, err := fmt.Fprint(c.out, inColumns(codes)); err != nil {
			return err
		}
		c.say("")
	}
	return failure
}

// write fills the file, and has it on the disk.
func (k *keeper) write(c *command, user string, codes []control.Secret) error {
	host, err := os.Hostname()
	if err != nil {
		host = "this host"
	}
	text := fmt.Sprintf("Recovery codes of %s on %s, made %s.\nEach lets in once, in place of a code. Keep them where the device is not.\n\n%s",
		printable(user), printable(host), date(c.now()), inColumns(codes))
	if _, err := k.file.WriteString(text); err != nil {
		return err
	}
	return k.file.keep()
}

// inColumns prints codes two a line.
func inColumns(codes []control.Secret) string {
	var b strings.Builder
	for i, code := range codes {
		fmt.Fprintf(&b, "  %s", printable(string(code)))
		if i%2 == 1 || i == len(codes)-1 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}
