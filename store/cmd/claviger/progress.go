package main

import (
	"fmt"
	"io"
	"time"
)

// How often a line of progress is written: in its place on a terminal, and else
// one after the other.
const (
	progressOnTerminal = 200 * time.Millisecond
	progressInLog      = 5 * time.Second
)

// A progress reports how far a long work is. A nil one reports nothing.
type progress struct {
	w        io.Writer
	terminal bool
	last     time.Time
	text     string // what is written, or will be
	shown    bool   // whether text is written
}

// startProgress returns a progress if standard error is a terminal, or if it was
// asked for.
func (s *session) startProgress() *progress {
	terminal := isTerminal(s.stderr)
	if !terminal && !s.progress {
		return nil
	}
	return &progress{w: s.stderr, terminal: terminal}
}

// report tells how far the work is. The first report is written at once.
func (p *progress) report(format string, args ...any) {
	if p == nil {
		return
	}
	p.text, p.shown = fmt.Sprintf(format, args...), false
	every := progressInLog
	if p.terminal {
		every = progressOnTerminal
	}
	if now := time.Now(); now.Sub(p.last) >= every {
		p.last = now
		p.write()
	}
}

// end writes what was not written yet. Before it, nothing else is to be written to
// a terminal.
func (p *progress) end() {
	if p == nil || p.text == "" {
		return
	}
	if !p.shown {
		p.write()
	}
	if p.terminal {
		fmt.Fprintln(p.w)
	}
	p.text = ""
}

func (p *progress) write() {
	p.shown = true
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s", p.text)
		return
	}
	fmt.Fprintln(p.w, p.text)
}
