package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keysimport"
)

// mostTold is how many rows with a reason are printed where no file takes them.
const mostTold = 20

var importCommand = command{
	name: "import", args: "FILE", brief: "import what another system keeps of its keys or clients",
	setup: func(fs *flag.FlagSet) action {
		var i importing
		fs.StringVar(&i.preset, "preset", "", "`name` of the system; needed")
		fs.StringVar(&i.form, "form", "", "`form` of the file: csv or jsonl (default by its name)")
		fs.StringVar(&i.prefix, "prefix", "", "`prefix` of the keys, if the configuration has several formats of the preset")
		fs.StringVar(&i.defaults.Org, "org", "", "`name` of the organization of rows that name none")
		fs.Var((*list)(&i.defaults.Scopes), "scopes", "`names` of the scopes of rows that name none, with commas between them")
		fs.BoolVar(&i.opts.DryRun, "dry-run", false, "write nothing, and say what would become of the rows")
		fs.StringVar(&i.verdicts, "verdicts", "", "new `file` for what became of each row, as lines of JSON")
		fs.IntVar(&i.opts.Batch, "batch", 0, "`number` of rows to write together (default 500)")
		fs.IntVar(&i.opts.Workers, "workers", 0, "`number` of batches to write at once (default 8)")
		return func(ctx context.Context, s *session, args []string) error { return i.run(ctx, s, args[0]) }
	},
}

// An importing is a run of the command.
type importing struct {
	preset, form, prefix, verdicts string
	defaults                       keysimport.Defaults
	opts                           keysimport.Options

	told int // rows with a reason, of which the first mostTold were printed
}

func (i *importing) run(ctx context.Context, s *session, name string) error {
	preset, ok := keysimport.Lookup(i.preset)
	if !ok {
		return usageError("-preset is none of %s", presetNames())
	}
	if i.opts.Batch < 0 || i.opts.Batch > maxBatch || i.opts.Workers < 0 || i.opts.Workers > 256 {
		return usageError("-batch is not from 1 to %s, or -workers not from 1 to 256", number(maxBatch))
	}
	if err := s.openAsHost(ctx, "import"); err != nil {
		return err
	}
	if err := i.fitHost(s.conf, preset); err != nil {
		return err
	}
	if _, err := s.manager.Catalog().Grant(i.defaults.Scopes...); err != nil {
		return explained(err)
	}
	file, err := openInput(ctx, s, name)
	if err != nil {
		return err
	}
	defer file.Close()
	i.defaults.CreatedBy = s.actor()
	rows, err := i.rows(file, name, preset)
	if err != nil {
		return usageError("%v", err)
	}
	if !i.opts.DryRun && name != "-" {
		if err := s.confirm(ctx, "Import the rows of "+name+"?"); err != nil {
			return err
		}
	}
	return i.into(ctx, s, rows)
}

func presetNames() string {
	var names []string
	for _, p := range keysimport.Presets() {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

// fitHost returns an error if the host would not accept what the preset imports.
func (i *importing) fitHost(c *config, p keysimport.Preset) (err error) {
	if p.Kind == keys.KindKey {
		i.defaults.Format, err = c.formatOf(p, i.prefix)
		return err
	}
	if c.Clients == nil || !c.Clients.AllowForeign {
		return usageError(`the host would not accept such clients: put "clients": {"prefix": "cc_", "allow_foreign": true} into the configuration, and the same into its program`)
	}
	return nil
}

// openInput opens the file of rows. A dash is standard input.
func openInput(ctx context.Context, s *session, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(&interruptible{ctx, s.stdin}), nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, usageError("%v", err)
	}
	return file, nil
}

func (i *importing) rows(r io.Reader, name string, p keysimport.Preset) (iter.Seq[keysimport.Row], error) {
	form := i.form
	if form == "" {
		form = strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
	}
	r = bufio.NewReaderSize(r, 64<<10)
	switch form {
	case "csv":
		return keysimport.ReadCSV(r, p, &i.defaults)
	case "jsonl", "ndjson", "json":
		return keysimport.ReadJSONLines(r, p, &i.defaults), nil
	}
	return nil, errors.New("the name of the file does not say what it holds: use -form csv or -form jsonl")
}

// into imports the rows, and prints what became of them.
func (i *importing) into(ctx context.Context, s *session, rows iter.Seq[keysimport.Row]) (err error) {
	p := s.startProgress()
	i.opts.Progress = func(sum keysimport.Summary) {
		p.report("%s: %s added, %s there before, %s refused", count(sum.Rows, "row"), number(sum.Added), number(sum.Existed), number(sum.Refused))
	}
	i.opts.Verdict = func(v keysimport.Verdict) error { return i.tell(s, p, v) }
	if i.verdicts != "" {
		file, err := os.OpenFile(i.verdicts, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return usageError("%v", err)
		}
		w := bufio.NewWriterSize(file, 64<<10)
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		i.opts.Verdict = func(v keysimport.Verdict) error { return enc.Encode(v) }
		defer func() { err = errors.Join(err, w.Flush(), file.Close()) }()
	}
	sum, err := keysimport.Run(ctx, s.manager, rows, &i.opts)
	p.end()
	if i.told > mostTold {
		fmt.Fprintf(s.stderr, "and %s more; -verdicts names them all\n", count(i.told-mostTold, "row"))
	}
	if printed := i.print(s, sum); err == nil {
		err = printed
	}
	switch {
	case err != nil && i.opts.DryRun:
		return err
	case err != nil:
		return fmt.Errorf("%w; rows that were added stay: run the import again with the same file, and it adds the rest", err)
	case sum.Refused > 0:
		return errSilentUnfit
	}
	return nil
}

// tell prints a row that is refused, or was imported before and has ended since, unless
// many were printed before.
func (i *importing) tell(s *session, p *progress, v keysimport.Verdict) error {
	if v.Reason == "" {
		return nil
	}
	if i.told++; i.told <= mostTold {
		p.end()
		name := ""
		if v.Name != "" {
			name = " (" + plain(v.Name) + ")"
		}
		fmt.Fprintf(s.stderr, "line %d%s: %s\n", v.Line, name, plain(v.Reason))
	}
	return nil
}

func (i *importing) print(s *session, sum keysimport.Summary) error {
	if s.json {
		return s.printJSON(struct {
			DryRun bool `json:"dry_run"`
			keysimport.Summary
		}{i.opts.DryRun, sum})
	}
	dry := ""
	if i.opts.DryRun {
		dry = ", and nothing was written"
	}
	_, err := fmt.Fprintf(s.stdout, "%s: %s added, %s there before, %s refused%s\n",
		count(sum.Rows, "row"), number(sum.Added), number(sum.Existed), number(sum.Refused), dry)
	return err
}
