package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// lineMax is the longest line that is read, in bytes.
const lineMax = 4096

// input is where a person types or a script writes, one line for each question. Questions are only
// shown when a person types.
type input struct {
	fd       int
	terminal bool
	prompts  io.Writer
	lines    *bufio.Reader
}

func newInput(from *os.File, prompts io.Writer) *input {
	fd := int(from.Fd())
	return &input{fd: fd, terminal: term.IsTerminal(fd), prompts: prompts, lines: bufio.NewReaderSize(from, lineMax)}
}

// line asks for one line. It returns io.EOF when there is none, and the context's error as soon as that
// ends; the input is of no more use then.
func (in *input) line(ctx context.Context, prompt string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	in.prompt(prompt)
	type answer struct {
		text string
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		text, err := in.lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			err = fmt.Errorf("the line is longer than %d bytes", lineMax)
		case errors.Is(err, io.EOF) && len(text) > 0:
			err = nil
		}
		typed <- answer{strings.TrimRight(string(text), "\r\n"), err}
	}()
	select {
	case a := <-typed:
		if a.err != nil {
			in.prompt("\n")
			return "", a.err
		}
		return a.text, nil
	case <-ctx.Done():
		in.prompt("\n")
		return "", ctx.Err()
	}
}

// hidden is line without echo. However it returns, the terminal echoes again.
func (in *input) hidden(ctx context.Context, prompt string) (string, error) {
	if !in.terminal {
		return in.line(ctx, prompt)
	}
	before, err := unix.IoctlGetTermios(in.fd, unix.TCGETS)
	if err != nil {
		return "", fmt.Errorf("read the terminal's settings: %w", err)
	}
	silent := *before
	silent.Lflag &^= unix.ECHO
	silent.Lflag |= unix.ICANON | unix.ISIG
	silent.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(in.fd, unix.TCSETS, &silent); err != nil {
		return "", fmt.Errorf("switch the terminal's echo off: %w", err)
	}
	defer unix.IoctlSetTermios(in.fd, unix.TCSETS, before)

	// A shell that took the terminal over after Ctrl-Z has switched echo on.
	resumed := make(chan os.Signal, 1)
	signal.Notify(resumed, unix.SIGCONT)
	done := make(chan struct{})
	defer func() {
		signal.Stop(resumed)
		close(done)
	}()
	go func() {
		for {
			select {
			case <-resumed:
				unix.IoctlSetTermios(in.fd, unix.TCSETS, &silent)
				in.prompt(prompt)
			case <-done:
				return
			}
		}
	}()
	text, err := in.line(ctx, prompt)
	if err == nil {
		in.prompt("\n") // the one that was typed isn't shown
	}
	return text, err
}

// whole reads the input to its end: one text of at most lineMax bytes, without the white space around.
func (in *input) whole() (string, error) {
	text, err := io.ReadAll(io.LimitReader(in.lines, lineMax+1))
	if err == nil && len(text) > lineMax {
		err = fmt.Errorf("more than %d bytes", lineMax)
	}
	return strings.TrimSpace(string(text)), err
}

func (in *input) prompt(text string) {
	if in.terminal {
		io.WriteString(in.prompts, text)
	}
}
