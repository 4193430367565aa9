package keyspage

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// A form whose answer shows a secret can be carried out once: a browser sends it again
// when the answer is reloaded. Each form has a random mark, which is spent when the form
// is carried out. The mark stays spent for twice as long as the form can be sent.
const (
	formLife = 12 * time.Hour
	clocks   = 5 * time.Minute // how much the clocks of two processes may differ
)

var oncePerForm = ratelimit.MustPer(1, 2*formLife, 1)

// once remembers which marks are spent.
type once struct{ limiter *ratelimit.Limiter }

// mark returns a mark for a new form.
func (once) mark() string { return rand.Text() + "-" + strconv.FormatInt(time.Now().Unix(), 36) }

// A used says whether a form is carried out, or why not.
type used int

const (
	fresh   used = iota
	spent        // the form was sent before
	tooOld       // the form was opened too long ago
	invalid      // the form has no mark of ours
)

// use spends a mark. The error wraps [keys.ErrUnavailable].
func (o once) use(ctx context.Context, org, mark string) (used, error) {
	text, stamp, _ := strings.Cut(mark, "-")
	seconds, err := strconv.ParseInt(stamp, 36, 64)
	if err != nil || len(text) != len(rand.Text()) || strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return invalid, nil
	}
	// Another spelling of the number would be another name in the limiter.
	if stamp != strconv.FormatInt(seconds, 36) {
		return invalid, nil
	}
	if age := time.Since(time.Unix(seconds, 0)); age > formLife || age < -clocks {
		return tooOld, nil
	}
	d, err := o.limiter.Take(ctx, org+" "+mark, oncePerForm, 1)
	switch {
	case err != nil:
		return fresh, &onceError{err}
	case !d.Allowed:
		return spent, nil
	}
	return fresh, nil
}

// A onceError is the error of a limiter that cannot decide.
type onceError struct{ err error }

func (e *onceError) Error() string { return "keyspage: forms: " + e.err.Error() }

// Unwrap returns the limiter's error, and ErrUnavailable for those who answer.
func (e *onceError) Unwrap() []error { return []error{e.err, keys.ErrUnavailable} }
