package keysimport

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// Outcomes of a row. In a dry run they say what would become of it.
const (
	Added   = "added"   // the credential is in the store now
	Existed = "existed" // the credential was in the store before, and is left as it is
	Refused = "refused" // the credential is not in the store, see Verdict.Reason
)

// A Verdict says what became of a row. It has no secrets.
type Verdict struct {
	Line    int    `json:"line"`           // of the file
	Name    string `json:"name,omitempty"` // the ID that the other system uses
	ID      string `json:"id,omitempty"`   // the public ID of its record
	Outcome string `json:"outcome"`        // Added, Existed or Refused
	// Reason says why a row was refused. With Existed it says that the credential was
	// revoked or paused in the other system, or ended earlier there, and is not so in
	// the store: an import changes nothing that it has imported before.
	Reason string `json:"reason,omitempty"`
	// Digest is the algorithm of the digest that is in the store, such as "plain
	// sha256". It is empty for a row that was refused.
	Digest string `json:"digest,omitempty"`
}

// A Summary counts rows.
type Summary struct {
	Rows    int `json:"rows"`
	Added   int `json:"added"`
	Existed int `json:"existed"`
	Refused int `json:"refused"`
}

// Options are the settings of [Run].
type Options struct {
	// DryRun writes nothing. Verdicts say what would become of each row. If a file
	// has two rows with the same ID, both verdicts say Added.
	DryRun bool

	// Batch is how many rows are written together. Workers is how many batches are
	// written at once. If zero, 500 and 8.
	Batch, Workers int

	// Verdict is called for each row, in the order of the file. Its error ends the
	// import. If nil, verdicts are dropped.
	Verdict func(v Verdict) error

	// Progress, if not nil, is called after each batch with the counts so far.
	Progress func(s Summary)
}

// Default values of the Options.
const (
	defaultBatch   = 500
	defaultWorkers = 8
)

// A batch is tried several times while the store fails. The first wait between two tries
// is pause, and each wait is twice as long as the one before it.
const (
	tries = 6
	pause = 100 * time.Millisecond
)

// Run imports rows, and returns the number of rows with each outcome, even with an
// error. Rows that are refused are no error. A nil opts is the zero Options.
//
// Run fails if ctx ends, if the reader of the rows fails, or if Options.Verdict returns
// an error. It also fails if the store keeps failing; then the error wraps
// [keys.ErrUnavailable]. In all these cases the import can be started again.
func Run(ctx context.Context, m *keys.Manager, rows iter.Seq[Row], opts *Options) (Summary, error) {
	r := run{manager: m, opts: Options{}}
	if opts != nil {
		r.opts = *opts
	}
	if r.opts.Batch == 0 {
		r.opts.Batch = defaultBatch
	}
	if r.opts.Workers == 0 {
		r.opts.Workers = defaultWorkers
	}
	if r.opts.Batch < 0 || r.opts.Workers < 0 {
		return Summary{}, errors.New("keysimport: the size of a batch or the number of workers is negative")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The queue has the batches in their order. Run waits for the first one while the
	// others are written.
	queue := make(chan *batch, r.opts.Workers-1)
	go r.read(ctx, rows, queue)
	for b := range queue {
		<-b.done
		if err := r.report(ctx, b); err != nil {
			cancel()
			for b := range queue {
				<-b.done
			}
			return r.sum, err
		}
	}
	return r.sum, context.Cause(ctx)
}

// A run is a call of Run.
type run struct {
	manager *keys.Manager
	opts    Options
	sum     Summary
}

// A batch has rows that are written together.
type batch struct {
	rows []Row
	out  []keys.Imported // the results for the rows that could be read
	err  error           // if not nil, the import ends with it
	done chan struct{}   // closed when the batch is written
}

// read makes batches of the rows, starts them and puts them into the queue.
func (r *run) read(ctx context.Context, rows iter.Seq[Row], queue chan<- *batch) {
	defer close(queue)
	b := new(batch)
	start := func() bool {
		b.done = make(chan struct{})
		select {
		case queue <- b:
		case <-ctx.Done():
			return false
		}
		go r.write(ctx, b)
		b = new(batch)
		return true
	}
	for row := range rows {
		if errors.Is(row.Err, errRead) {
			b.err = row.Err
			break
		}
		b.rows = append(b.rows, row)
		if len(b.rows) == r.opts.Batch && !start() {
			return
		}
	}
	if len(b.rows) > 0 || b.err != nil {
		start()
	}
}

// write imports a batch.
func (r *run) write(ctx context.Context, b *batch) {
	defer close(b.done)
	var list []keys.Foreign
	for i := range b.rows {
		if b.rows[i].Err == nil {
			list = append(list, b.rows[i].Foreign)
		}
	}
	do := r.manager.ImportAll
	if r.opts.DryRun {
		do = r.manager.CheckImport
	}
	wait := pause
	for try := 1; ; try++ {
		before := b.out
		b.out = do(ctx, list)
		for i := range before {
			if before[i].Err == nil {
				b.out[i] = before[i] // by an earlier try
			}
		}
		failed := failure(b.out)
		if failed == nil {
			return
		}
		if try == tries || ctx.Err() != nil {
			b.err = failed
			return
		}
		select {
		case <-time.After(wait):
			wait *= 2
		case <-ctx.Done():
		}
	}
}

// failure returns the first error that says that the store failed.
func failure(out []keys.Imported) error {
	for i := range out {
		if errors.Is(out[i].Err, keys.ErrUnavailable) {
			return out[i].Err
		}
	}
	return nil
}

// report counts the rows of a batch, and calls Verdict and Progress.
func (r *run) report(ctx context.Context, b *batch) error {
	if failed := failure(b.out); failed != nil {
		if ctx.Err() != nil { // the store failed because the caller has gone
			return context.Cause(ctx)
		}
		return fmt.Errorf("keysimport: rows from line %d on are not all written: %w", b.rows[0].Line, failed)
	}
	n := 0
	for i := range b.rows {
		row := &b.rows[i]
		v := Verdict{Line: row.Line, Name: row.Name, Outcome: Refused}
		err := row.Err
		if err == nil {
			out := &b.out[n]
			n++
			v.ID = out.Record.ID
			switch err = out.Err; {
			case out.Existed:
				v.Outcome, v.Digest, v.Reason = Existed, out.Record.Digest.String(), allowsMore(&out.Record, &row.Foreign)
			case err == nil:
				v.Outcome, v.Digest = Added, out.Record.Digest.String()
			}
		}
		var scope *scopes.GrantError
		switch {
		case errors.As(err, &scope):
			v.Reason = notGranted(scope)
		case errors.Is(err, keys.ErrMalformed):
			v.Reason = "keysimport: no format of the manager's options has such a text or ID"
		case errors.Is(err, keys.ErrExists):
			v.Reason = "keysimport: another credential has this ID"
		case err != nil:
			v.Reason = err.Error()
		}
		r.count(v.Outcome)
		if r.opts.Verdict != nil {
			if err := r.opts.Verdict(v); err != nil {
				return err
			}
		}
	}
	if r.opts.Progress != nil {
		r.opts.Progress(r.sum)
	}
	return b.err
}

// notGranted says which scopes cannot be granted. It counts the unknown names that may be
// secrets.
func notGranted(e *scopes.GrantError) string {
	var parts []string
	if e.Reserved != nil {
		parts = append(parts, "reserved: "+strings.Join(e.Reserved, " "))
	}
	words := slices.DeleteFunc(slices.Clone(e.Unknown), func(name string) bool { return !isWord(name, "_:.-/") })
	unknown := strings.Join(words, " ")
	if n := len(e.Unknown) - len(words); n > 0 {
		unknown = strings.TrimPrefix(fmt.Sprintf("%s, %d not shown in case of secrets", unknown, n), ", ")
	}
	if unknown != "" {
		parts = append(parts, "not in the catalog: "+unknown)
	}
	return "keysimport: scopes that cannot be granted: " + strings.Join(parts, "; ")
}

// allowsMore says in which way the record of a credential allows more than the other
// system does by now, or returns "".
func allowsMore(rec *keys.Record, f *keys.Foreign) string {
	switch {
	case rec.Revoked():
	case !f.RevokedAt.IsZero():
		return "keysimport: the other system has revoked it; revoke it here too"
	case !f.DisabledAt.IsZero() && !rec.Disabled():
		return "keysimport: it is paused in the other system, and not here"
	case !f.ExpiresAt.IsZero() && (rec.ExpiresAt.IsZero() || rec.ExpiresAt.After(f.ExpiresAt)):
		return "keysimport: it ends earlier in the other system than here"
	}
	return ""
}

func (r *run) count(outcome string) {
	r.sum.Rows++
	switch outcome {
	case Added:
		r.sum.Added++
	case Existed:
		r.sum.Existed++
	default:
		r.sum.Refused++
	}
}
