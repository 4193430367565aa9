package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/claviger-auth/claviger/keys"
)

// A session is one run of the program: what the command line said, and what was
// opened for it.
type session struct {
	stdin  io.Reader
	stdout *output
	stderr io.Writer
	settings

	conf    *config
	db      database
	store   keys.Store
	manager *keys.Manager
	options *keys.Options
}

// context returns a context that says who acts.
func (s *session) context(ctx context.Context) context.Context {
	return keys.NewContext(ctx, keys.Principal{ID: s.actor()})
}

// configuration reads the configuration, once.
func (s *session) configuration() (*config, error) {
	if s.conf != nil {
		return s.conf, nil
	}
	c, err := readConfig(s.config)
	if err != nil {
		return nil, err
	}
	if s.options, err = c.options(); err != nil {
		return nil, err
	}
	if s.timeout <= 0 {
		return nil, usageError("-timeout is not more than zero")
	}
	s.options.Timeout, s.conf = s.timeout, c
	return c, nil
}

// connect opens the database, and reads nothing from it.
func (s *session) connect(ctx context.Context) error {
	c, err := s.configuration()
	if err != nil {
		return err
	}
	url, err := s.storeURL(c)
	if err != nil {
		return err
	}
	s.db, err = openDatabase(ctx, url, c, s.timeout)
	return err
}

// open opens the store, and makes the manager over it.
func (s *session) open(ctx context.Context) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	var err error
	if s.store, err = s.db.open(ctx); err != nil {
		return err
	}
	if uses, ok := s.store.(keys.UseStore); ok {
		if s.options.Uses, err = keys.NewUses(uses, nil); err != nil { // only to read them
			return err
		}
	}
	if s.manager, err = keys.NewManager(s.store, s.options); err != nil {
		return usageError("configuration: %v", err)
	}
	return nil
}

// openAsHost is open for commands that must know how the host is set up: a key of
// another form, or with a digest under another pepper, would be of no use to it.
func (s *session) openAsHost(ctx context.Context, what string) error {
	if err := s.needConfiguration(what); err != nil {
		return err
	}
	return s.open(ctx)
}

// openToPrintSecret is openAsHost for commands that make a secret. It fails if standard
// output is closed or is the null device: nobody would get the secret. If a program is
// started with a closed standard output, the runtime of Go opens the null device in its
// place.
func (s *session) openToPrintSecret(ctx context.Context, what string) error {
	if file, ok := s.stdout.w.(*os.File); ok {
		out, err := file.Stat()
		if null, nullErr := os.Stat(os.DevNull); err != nil || nullErr == nil && os.SameFile(out, null) {
			return usageError("the secret would be lost: standard output is closed or the null device")
		}
	}
	return s.openAsHost(ctx, what)
}

// needConfiguration reads the configuration, and fails if there is none.
func (s *session) needConfiguration(what string) error {
	c, err := s.configuration()
	if err == nil && !c.given {
		err = usageError("%s needs the settings of the host: name a file with -config or CLAVIGER_CONFIG, see claviger help config; {} stands for a host that has none", what)
	}
	return err
}

func (s *session) close() error {
	if s.db == nil {
		return nil
	}
	err := s.db.close()
	s.db = nil
	return err
}

// record returns the credential with an ID, of a kind unless that is empty.
func (s *session) record(ctx context.Context, kind keys.Kind, id string) (keys.Record, error) {
	if err := s.refuseSecret(id); err != nil {
		return keys.Record{}, err
	}
	rec, err := s.manager.Find(ctx, id)
	if err == nil && kind != "" && rec.Kind != kind {
		return keys.Record{}, fmt.Errorf("%w of that kind: it is a %s", keys.ErrNotFound, rec.Kind)
	}
	return rec, err
}

// refuseSecret returns an error if arg is a whole credential in place of an ID.
// Others can see arguments, and the history of the shell keeps them.
func (s *session) refuseSecret(arg string) error {
	for _, f := range s.formats() {
		if c, err := f.Parse(arg); err == nil {
			return usageError("that is a whole credential, and arguments are no place for secrets: "+
				"they stay in the shell's history. Its ID alone is %s", c.ID)
		}
	}
	return nil
}

// formats returns the format of keys, then that of tokens, then the other ones whose
// texts cannot be taken for IDs.
func (s *session) formats() []*keys.Format {
	formats := []*keys.Format{s.options.Format, s.options.TokenFormat}
	if formats[0] == nil {
		formats[0] = defaultKeyFormat
	}
	if formats[1] == nil {
		formats[1] = defaultTokenFormat
	}
	return append(formats, s.conf.plainFormats()...)
}

// The formats that a manager has if its Options name none.
var (
	defaultKeyFormat   = keys.MustFormat("key_", keys.Dotted, nil)
	defaultTokenFormat = keys.MustFormat("oauth_", keys.Fixed, nil)
)

// settled reports whether a change was written. It was if err is nil, or only says
// that caches may not know of it yet.
func settled(err error) bool { return err == nil || errors.Is(err, keys.ErrUnsettled) }
