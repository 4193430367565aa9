package main

import (
	"fmt"
	"io"
	"time"
)

// How often a line of progress is written. On a terminal it replaces the line before;
// elsewhere it follows it.
const (
	progressOnTerminal = 200 * time.Millisecond
	progressInLog      = 5 * time.Second
)

// A progress reports how far a long task is. A nil progress reports nothing.
type progress struct {
	w        io.Writer
	terminal bool
	last     time.Time
	text     string // the last report
	shown    bool   // whether text was written
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

// report tells how far the task is. The first report is written at once; later ones
// that come too soon after another may be dropped.
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

// end writes the last report if it was not written, and ends the line. Until then
// nothing else must be written to a terminal.
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
