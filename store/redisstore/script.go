package redisstore

import (
	"context"
	_ "embed"
	"errors"

	"github.com/redis/go-redis/v9"
)

// A script runs on the server as one atomic step.
type script struct {
	source any  // strings, as arguments of commands
	hash   any  // by which servers know it once it has run there
	reads  bool // it writes nothing, and may be repeated
}

func newScript(source string, reads bool) *script {
	return &script{source, redis.NewScript(source).Hash(), reads}
}

// onPrimary is newScript for a script that can answer without a write. It has the
// function refusal, by which it fails if the server is no primary.
func onPrimary(source string, reads bool) *script { return newScript(primarySource+source, reads) }

// noEntry takes the place of trail.lua in scripts that write without an entry.
const noEntry = "local entry\n"

var (
	//go:embed scripts/primary.lua
	primarySource string
	//go:embed scripts/change.lua
	changeSource string
	//go:embed scripts/past.lua
	pastSource string
	//go:embed scripts/trail.lua
	trailSource string
	//go:embed scripts/add.lua
	addSource string
	//go:embed scripts/cut.lua
	cutSource string
	//go:embed scripts/insert.lua
	insertSource string
	//go:embed scripts/update.lua
	updateSource string
	//go:embed scripts/confirm.lua
	confirmSource string
	//go:embed scripts/get.lua
	getSource string
	//go:embed scripts/sweep.lua
	sweepSource string
	//go:embed scripts/tidy.lua
	tidySource string
	//go:embed scripts/use.lua
	useSource string
	//go:embed scripts/take.lua
	takeSource string
	//go:embed scripts/takelong.lua
	takeLongSource string
	//go:embed scripts/announce.lua
	announceSource string
	//go:embed scripts/mark.lua
	markSource string
	//go:embed scripts/lease.lua
	leaseSource string
	//go:embed scripts/poll.lua
	pollSource string

	insertScript   = onPrimary(noEntry+insertSource, false)
	updateScript   = onPrimary(noEntry+changeSource+updateSource, false)
	insertWith     = onPrimary(trailSource+insertSource, false)
	updateWith     = onPrimary(trailSource+changeSource+updateSource, false)
	addScript      = newScript(trailSource+addSource, false)
	cutScript      = onPrimary(cutSource, false)
	confirmScript  = newScript(confirmSource, false)
	getScript      = onPrimary(getSource, true)
	sweepScript    = newScript(changeSource+sweepSource, false)
	tidyScript     = newScript(tidySource, false)
	useScript      = newScript(useSource, false)
	takeScript     = newScript(takeSource, false)
	takeLongScript = newScript(takeLongSource, false)
	announceScript = onPrimary(pastSource+announceSource, false)
	markScript     = onPrimary(pastSource+markSource, false)
	leaseScript    = onPrimary(pastSource+leaseSource, true)
	pollScript     = onPrimary(pastSource+changeSource+pollSource, true)
)

// once is a command that clients do not send again when it is not known whether it was
// carried out. By default they send commands up to three times more: a request could
// pay twice, and an Insert could find its own ID taken.
type once struct{ *redis.Cmd }

// NoRetry reports true.
func (once) NoRetry() bool { return true }

// A call is a command that runs a script.
type call interface {
	redis.Cmder
	Val() any
	Text() (string, error)
	Slice() ([]any, error)
	Int64() (int64, error)
}

// call returns the command that runs a script by its hash, or by its whole text.
func (sc *script) call(ctx context.Context, whole bool, names []string, args []any) call {
	all := make([]any, 0, 3+len(names)+len(args))
	if whole {
		all = append(all, "eval", sc.source, len(names))
	} else {
		all = append(all, "evalsha", sc.hash, len(names))
	}
	for _, name := range names {
		all = append(all, name)
	}
	cmd := redis.NewCmd(ctx, append(all, args...)...)
	if sc.reads {
		return cmd
	}
	return once{cmd}
}

// errAnswer reports an answer of a script that does not have the form that it should.
var errAnswer = errors.New("unexpected answer of a script")

// unknown reports whether err says that the server does not know a script by its hash,
// since it was restarted or its scripts were flushed. Nothing was done then.
func unknown(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT") }

// A processor is what commands are sent by: a client, or one connection.
type processor interface {
	Process(ctx context.Context, cmd redis.Cmder) error
}

// run runs a script in one round trip, or in two if the server does not know it yet.
// The error is also that of the call.
func run(ctx context.Context, p processor, sc *script, names []string, args ...any) (call, error) {
	c := sc.call(ctx, false, names, args)
	err := p.Process(ctx, c)
	if unknown(err) {
		c = sc.call(ctx, true, names, args)
		err = p.Process(ctx, c)
	}
	return c, failure(err)
}
