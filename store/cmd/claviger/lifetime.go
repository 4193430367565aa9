package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A lifetime is the value of a flag: a time such as 90d, 36h or 15m, or forever.
type lifetime time.Duration

var (
	errLifetime = errors.New("want a time such as 90d, 36h or 15m, or forever")
	errPositive = errors.New("want a time of more than 0, or forever")
)

func (l *lifetime) Set(text string) error {
	if text == "forever" {
		*l = lifetime(keys.Forever)
		return nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return errLifetime
		}
		*l = lifetime(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d%time.Millisecond != 0 {
		return errLifetime
	}
	*l = lifetime(d)
	return nil
}

func (l *lifetime) String() string { return durationText(time.Duration(*l)) }

// A positive is a lifetime other than 0. Elsewhere 0 stands for the default, which is
// often forever, and whoever writes 0 does not mean that.
type positive time.Duration

func (p *positive) Set(text string) error {
	if err := (*lifetime)(p).Set(text); err != nil {
		return err
	}
	if *p == 0 {
		return errPositive
	}
	return nil
}

func (p *positive) String() string { return (*lifetime)(p).String() }

// durationText returns a time as Set reads it, and as people do.
func durationText(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == keys.Forever:
		return "forever"
	case d == 0:
		return ""
	case d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// A list is the value of a flag: words with commas or blanks between them.
type list []string

func (l *list) Set(text string) error {
	*l = strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' })
	return nil
}

func (l *list) String() string { return strings.Join(*l, ",") }
