package keys_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// logger returns a logger of all levels, without times, and what it wrote.
func logger() (*slog.Logger, *bytes.Buffer) {
	out := new(bytes.Buffer)
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})), out
}

// TestLogEventsOfAnOutage takes a store down for half a minute, with a refusal each
// hundredth of a second.
func TestLogEventsOfAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, out := logger()
		hook := keys.LogEvents(log)
		lines := func(want string) {
			t.Helper()
			if out.String() != want {
				t.Errorf("after %v:\n%swant\n%s", time.Now(), out, want)
			}
			out.Reset()
		}
		tell := func(e keys.Event) { hook(t.Context(), e) }
		refused := keys.Event{Type: keys.Refused, ID: "vck_a", Reason: keys.ReasonUnavailable, Err: errors.New("down")}
		accepted := keys.Event{Type: keys.Accepted, Org: "acme", ID: "vck_b", Kind: keys.KindKey}
		const first = `level=ERROR msg="credential refused" id=vck_a reason=unavailable error=down` + "\n"
		const debug = `level=DEBUG msg="credential accepted" org=acme id=vck_b kind=key` + "\n"
		count := func(n int) string { return strings.TrimSuffix(first, "\n") + fmt.Sprintf(" count=%d\n", n) }

		tell(accepted)
		lines(debug)
		tell(refused)
		lines(first)
		for range 999 {
			time.Sleep(10 * time.Millisecond) // on the test's own clock
			tell(refused)
		}
		lines("")
		tell(keys.Event{Type: keys.Changed, ID: "vck_a", Err: errors.New("down")}) // always
		tell(keys.Event{Type: keys.Refused, ID: "vck_a", Reason: keys.ReasonUnknown})
		lines(`level=ERROR msg="credential changed" id=vck_a error=down` + "\n" +
			`level=INFO msg="credential refused" id=vck_a reason=unknown` + "\n")
		time.Sleep(10 * time.Millisecond) // on the test's own clock
		tell(refused)
		lines(count(1000))
		for range 1000 {
			time.Sleep(10 * time.Millisecond) // on the test's own clock
			tell(refused)
		}
		lines(count(1000))
		tell(refused)
		tell(accepted)
		lines(debug)
		time.Sleep(10 * time.Second) // on the test's own clock
		tell(accepted)
		lines(`level=ERROR msg="credential refused" reason=unavailable count=1` + "\n" + debug)
		time.Sleep(time.Hour) // on the test's own clock
		tell(accepted)
		lines(debug)
		tell(refused) // the next outage
		lines(first)
	})
}

// TestLogEventsOfManyAtOnce counts the refusals of many goroutines.
func TestLogEventsOfManyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, out := logger()
		hook, other := keys.LogEvents(log), keys.LogEvents(log)
		refused := keys.Event{Type: keys.Refused, Reason: keys.ReasonUnavailable, Err: errors.New("down")}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 100 {
					hook(t.Context(), refused)
				}
			})
		}
		wg.Wait()
		time.Sleep(10 * time.Second) // on the test's own clock
		for range 8 {
			wg.Go(func() { hook(t.Context(), keys.Event{Type: keys.Accepted}) })
		}
		wg.Wait()
		if n := strings.Count(out.String(), "level=ERROR"); n != 2 || !strings.Contains(out.String(), " count=799\n") {
			t.Errorf("%d lines of %s", n, out)
		}
		out.Reset()
		other(t.Context(), refused)
		if !strings.Contains(out.String(), "level=ERROR") {
			t.Error("two hooks count together")
		}
	})
}

// TestLogErrors takes a store down, with an error each hundredth of a second.
func TestLogErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, out := logger()
		tell, other := keys.LogErrors(log, "cache"), keys.LogErrors(log, "limits")
		lines := func(want string) {
			t.Helper()
			if out.String() != want {
				t.Errorf("after %v:\n%swant\n%s", time.Now(), out, want)
			}
			out.Reset()
		}
		const line = "level=ERROR msg=cache error=down"
		down := errors.New("down")
		for range 1000 {
			tell(down)
			time.Sleep(10 * time.Millisecond) // on the test's own clock
		}
		lines(line + "\n")
		other(down)
		lines("level=ERROR msg=limits error=down\n")
		tell(down)
		tell(down)
		lines(line + " count=1000\n")
		time.Sleep(time.Hour) // on the test's own clock
		tell(down)
		lines(line + " count=2\n")
		time.Sleep(time.Hour) // on the test's own clock
		tell(down)
		lines(line + "\n")
	})
}

func TestReason(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		nil:               "",
		keys.ErrMalformed: keys.ReasonMalformed, keys.ErrUnknown: keys.ReasonUnknown, keys.ErrMismatch: keys.ReasonMismatch,
		keys.ErrExpired: keys.ReasonExpired, keys.ErrRevoked: keys.ReasonRevoked, keys.ErrPaused: keys.ReasonPaused,
		fmt.Errorf("jwt: %w", keys.ErrExpired):                         keys.ReasonExpired,
		keys.ErrUnavailable:                                            keys.ReasonUnavailable,
		fmt.Errorf("%w: %w", keys.ErrUnavailable, keys.ErrRevoked):     keys.ReasonUnavailable,
		fmt.Errorf("%w: %w", keys.ErrUnavailable, context.Canceled):    keys.ReasonCanceled,
		fmt.Errorf("%w: %w", keys.ErrUnavailable, keys.ErrCorrupt):     keys.ReasonUnavailable,
		errors.New("of somebody else"):                                 keys.ReasonUnavailable,
		context.DeadlineExceeded:                                       keys.ReasonUnavailable,
		context.Canceled:                                               keys.ReasonCanceled,
		errors.Join(keys.ErrCallerEnded, errors.New("something else")): keys.ReasonUnavailable,
	} {
		if got := keys.Reason(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// TestLogsHoldNoDigest logs what has a digest or a secret, by both handlers.
func TestLogsHoldNoDigest(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	issued := env.create(keys.Spec{})
	client := createClient(t, env, keys.Spec{})
	rotated, err := env.manager.RotateSecret(t.Context(), "acme", client.Record.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p, err := env.verify(issued.Text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		log := slog.New(handler)
		for _, i := range []keys.Issued{issued, client, rotated} {
			log.Info("a", "value", i, "text", i.Text, "record", i.Record, "digest", i.Record.Digest, "previous", i.Record.Previous)
			log.Info("b", "group", slog.GroupValue(slog.Any("x", i), slog.Any("y", i.Record.Digest)))
		}
		log.Info("c", "principal", p, "event", env.last(), "options", keys.Options{Peppers: []keys.Pepper{{Name: "p", Key: issued.Text}}}.Peppers[0].Name)
		if strings.Count(out.String(), issued.Record.ID) == 0 || strings.Contains(out.String(), "ERROR") {
			t.Errorf("logged:\n%s", out.String())
		}
	}
	for _, i := range []keys.Issued{issued, client, rotated} {
		for _, leak := range []string{i.Text.Reveal(), i.Record.Digest.Text()[12:]} {
			if strings.Contains(out.String(), leak) {
				t.Errorf("%q was logged", leak)
			}
		}
	}
	if !strings.Contains(out.String(), "digest=sha256") || !strings.Contains(out.String(), `"digest":"sha256"`) {
		t.Errorf("a digest is logged as something else:\n%s", out.String())
	}
}
