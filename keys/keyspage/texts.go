package keyspage

import (
	"context"
	_ "embed"
	"strings"
	"time"
)

//go:embed texts.txt
var allTexts string

// Texts returns every English text of the pages, in a new slice. [Options.Text] is called
// with these texts. A text with verbs of package fmt comes with arguments. Two texts have
// a meaning of their own: "en" stands for the language of the texts, and
// "2 Jan 2006, 15:04 MST" for the layout of a time (see [time.Time.Format]).
func Texts() []string { return strings.Split(strings.TrimSpace(allTexts), "\n") }

// n marks a text that is in Texts and goes through T later.
func n(text string) string { return text }

// texts translates texts for one request.
type texts struct {
	ctx  context.Context
	text func(ctx context.Context, format string, args ...any) string
	now  time.Time
}

func (h *Handler) texts(ctx context.Context) texts {
	return texts{ctx, h.opts.Text, time.Now()}
}

// T returns a text for the reader.
func (t texts) T(format string, args ...any) string { return t.text(t.ctx, format, args...) }

// A moment is a time as pages show it.
type moment struct {
	Set  bool
	ISO  string // for the attribute datetime
	Text string // the time in the layout of the reader
	Ago  string // how long ago, or how far ahead
	Past bool
	Soon bool // within a week from now
}

func (t texts) moment(at time.Time) moment {
	if at.IsZero() {
		return moment{}
	}
	at = at.UTC()
	return moment{
		Set: true, ISO: at.Format(time.RFC3339), Text: at.Format(t.T("2 Jan 2006, 15:04 MST")), Ago: t.relative(at),
		Past: !t.now.Before(at), Soon: t.now.Before(at) && at.Sub(t.now) < 7*24*time.Hour,
	}
}

// relative says how long ago a time is, or how far ahead.
func (t texts) relative(at time.Time) string {
	d := t.now.Sub(at)
	ahead := d < 0
	if ahead {
		d = -d
	}
	choose := func(d, unit time.Duration, onePast, past, oneAhead, future string) string {
		if ahead {
			d += unit / 2 // rounded, so that a key made for a month has a month left a moment later
		}
		n := int(d / unit)
		switch {
		case n == 1 && ahead:
			return t.T(oneAhead)
		case n == 1:
			return t.T(onePast)
		case ahead:
			return t.T(future, n)
		}
		return t.T(past, n)
	}
	switch {
	case d < time.Minute && ahead:
		return t.T("in less than a minute")
	case d < time.Minute:
		return t.T("just now")
	case d < time.Hour:
		return choose(d, time.Minute, n("a minute ago"), n("%d minutes ago"), n("in a minute"), n("in %d minutes"))
	case d < day:
		return choose(d, time.Hour, n("an hour ago"), n("%d hours ago"), n("in an hour"), n("in %d hours"))
	case d < 120*day:
		return choose(d, day, n("yesterday"), n("%d days ago"), n("tomorrow"), n("in %d days"))
	case d < 730*day:
		return choose(d, 30*day, n("a month ago"), n("%d months ago"), n("in a month"), n("in %d months"))
	}
	return choose(d, 365*day, n("a year ago"), n("%d years ago"), n("in a year"), n("in %d years"))
}
