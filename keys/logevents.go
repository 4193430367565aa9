package keys

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// outageInterval is how often failures of a store that does not answer are logged.
const outageInterval = 10 * time.Second

// LogEvents returns a hook that logs to logger: accepted requests and those
// whose client has gone at level Debug; refused requests, [UsedReplaced] and changes
// at Info; [UsedEnded] and [Leaked] at Warn; and failures at Error.
//
// While a store is down, every request is refused with [ReasonUnavailable]. The
// first such refusal is logged. Those that follow within ten seconds are counted, and
// the next event after that time logs their number as "count". Changes that failed
// are always logged.
//
// Each call returns a hook with counts of its own. The hook is safe for concurrent
// use.
func LogEvents(logger *slog.Logger) Hook {
	return (&eventLog{logger: logger}).log
}

// LogErrors returns a function that logs errors to logger, at level Error and with the
// given message. It is for functions that are called many times a second while a store
// is down, such as [CacheOptions].OnError and the hook of a limiter.
//
// The first error is logged. Those that follow within ten seconds are counted, and the
// next error after that time logs their number as "count".
//
// Each call returns a function with a count of its own. The function is safe for
// concurrent use.
func LogErrors(logger *slog.Logger, message string) func(err error) {
	o := new(outage)
	return func(err error) {
		count, due := o.next(true)
		if !due {
			return
		}
		attrs := []slog.Attr{slog.Any("error", err)}
		if count > 0 {
			attrs = append(attrs, slog.Int64("count", count))
		}
		logger.LogAttrs(context.Background(), slog.LevelError, message, attrs...)
	}
}

// An eventLog is the hook of LogEvents.
type eventLog struct {
	logger *slog.Logger
	outage outage
}

func (l *eventLog) log(ctx context.Context, e Event) {
	down := e.Type == Refused && e.Reason == ReasonUnavailable
	count, log := l.outage.next(down)
	if down && !log {
		return
	}
	if !down && count > 0 { // the outage is over, and these refusals are not logged yet
		l.write(ctx, slog.LevelError, Event{Type: Refused, Reason: ReasonUnavailable}, count)
		count = 0
	}
	level := slog.LevelInfo
	switch {
	case e.Reason == ReasonCanceled, e.Type == Accepted:
		level = slog.LevelDebug
	case e.Err != nil, down:
		level = slog.LevelError
	case e.Type == UsedEnded, e.Type == Leaked:
		level = slog.LevelWarn
	}
	l.write(ctx, level, e, count)
}

// write logs an event. A count that is not zero is how many events it stands for.
func (l *eventLog) write(ctx context.Context, level slog.Level, e Event, count int64) {
	if !l.logger.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 8)
	for _, a := range [...]slog.Attr{
		slog.String("org", e.Org), slog.String("id", e.ID),
		slog.String("kind", string(e.Kind)), slog.String("reason", e.Reason),
		slog.String("replaced_by", e.ReplacedBy),
	} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	if count > 0 {
		attrs = append(attrs, slog.Int64("count", count))
	}
	if by, ok := FromContext(ctx); ok && by.ID != e.ID {
		attrs = append(attrs, slog.String("by", by.ID))
	}
	l.logger.LogAttrs(ctx, level, "credential "+e.Type.String(), attrs...)
}

// An outage counts failures of a store that does not answer.
type outage struct {
	count atomic.Int64 // since the last line

	mu     sync.Mutex
	logged time.Time // when the last line was written
}

// next counts an event if down is true, which says that it is such a failure. If log
// is true, the failures that were counted are to be logged now. Count is their
// number, or 0 if the event is the only one.
func (o *outage) next(down bool) (count int64, log bool) {
	if down {
		o.count.Add(1)
	} else if o.count.Load() == 0 {
		return 0, false // as it is almost always, so no lock is taken
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.logged) < outageInterval {
		return 0, false
	}
	o.logged = time.Now()
	if count = o.count.Swap(0); count == 1 && down {
		count = 0
	}
	return count, true
}
