package keys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/scopes"
)

// DefaultRateLimit is the limit of credentials that are made without one, in
// requests per minute.
const DefaultRateLimit = 600

// DefaultTimeout bounds each call of a store by default.
const DefaultTimeout = 2 * time.Second

// How many live keys and clients an organization may have by default.
const (
	DefaultMaxKeys    = 10_000
	DefaultMaxClients = 1_000

	maxCap = 1 << 30 // more than any organization has
)

// Options are the settings of a [Manager] and its [Verifier]. Processes that share a
// store need the same values: a process without a pepper cannot check keys that
// another process made under it. The zero value is ready to use.
type Options struct {
	// Format is the text form of API keys, with the layout [Dotted] or
	// [Fixed]. If nil, Dotted with the prefix "key_".
	Format *Format

	// OtherFormats are text forms of API keys that are accepted besides Format, for
	// keys of another system or of an earlier Format. New keys are never made in
	// them. A text that Format does not take belongs to the first of them that
	// takes it. So strict formats come first, and last those that take nearly
	// everything: Bare ones without a Separator. It is an error if a format without
	// a Separator takes all texts of a later format.
	OtherFormats []*Format

	// TokenFormat is the text form of access tokens, with the layout [Dotted]
	// or [Fixed]. If nil, Fixed with the prefix "oauth_".
	TokenFormat *Format

	// ClientFormat is the form of the IDs and secrets of OAuth clients, with
	// the layout [Apart]. If nil, the prefix is "cc_".
	ClientFormat *Format

	// Catalog lists the scopes that can be granted. If nil, there are none.
	Catalog *scopes.Catalog

	// RateLimit is the limit of credentials that are made without one, in
	// requests per minute. If zero, DefaultRateLimit.
	RateLimit int

	// Peppers are the keys for HMAC-SHA-256. The first makes new digests, and all
	// of them check old ones. To change peppers, put the new one first. A digest
	// under another pepper, or without one, is replaced when its secret is next
	// used. If empty, digests are plain SHA-256.
	Peppers []Pepper

	// Plan returns how many requests a minute all credentials of an organization
	// may make together. A credential whose record has the figure 0 has the figure
	// of the plan. Any other credential has the lower of the two figures. If Plan
	// returns 0, the organization has no plan: then a credential has the figure of
	// its record, or RateLimit if that is 0. Plan is called for each check, so it
	// must be fast, and safe for concurrent use. If it returns an error, or a
	// figure that is negative or above MaxRateLimit, the check fails with
	// [ErrUnavailable]. If nil, no organization has a plan.
	Plan func(ctx context.Context, org string) (perMinute int, err error)

	// MaxKeys and MaxClients are how many keys and clients an organization may
	// have that are neither revoked nor expired. They apply to what an [Actor]
	// makes, and not to the host's own calls. If zero, DefaultMaxKeys and
	// DefaultMaxClients. If negative, there is no such bound.
	MaxKeys, MaxClients int

	// Timeout bounds each call of the store. A call that takes longer has failed.
	// A store in the memory of the process that never waits is not bounded. If
	// zero, DefaultTimeout.
	Timeout time.Duration

	// Uses notes when credentials were last used. If nil, nobody does.
	Uses *Uses

	// Trail says that each change of a key or a client adds an entry to the trail
	// of its organization, in the same transaction. The store must be a
	// [TrailStore]. All processes that share the store need the same setting:
	// changes by a process without it have no entry.
	Trail bool

	// Refusals counts what an [Actor] was refused, for the trail. If nil, nobody
	// does.
	Refusals *Refusals

	// Hook receives an event for each credential that is made or changed. If
	// nil, events are dropped.
	Hook Hook
}

// settings are checked options, with the defaults filled in.
type settings struct {
	key, token, client *Format
	others             []*Format // of keys
	catalog            *scopes.Catalog
	rateLimit          int
	plan               func(ctx context.Context, org string) (int, error)
	caps               map[Kind]int // negative for none
	timeout            time.Duration
	hasher             *hasher
	uses               *Uses
	trail              bool
	refusals           *Refusals
	hook               Hook
}

var (
	defaultKeyFormat    = MustFormat("key_", Dotted, nil)
	defaultTokenFormat  = MustFormat("oauth_", Fixed, nil)
	defaultClientFormat = MustFormat("cc_", Apart, nil)
)

func newSettings(opts *Options) (s settings, err error) {
	if opts == nil {
		opts = new(Options)
	}
	s = settings{
		key:       orDefault(opts.Format, defaultKeyFormat),
		token:     orDefault(opts.TokenFormat, defaultTokenFormat),
		client:    orDefault(opts.ClientFormat, defaultClientFormat),
		others:    slices.Clone(opts.OtherFormats),
		catalog:   opts.Catalog,
		rateLimit: cmp.Or(opts.RateLimit, DefaultRateLimit),
		plan:      opts.Plan,
		caps: map[Kind]int{
			KindKey:    min(cmp.Or(opts.MaxKeys, DefaultMaxKeys), maxCap),
			KindClient: min(cmp.Or(opts.MaxClients, DefaultMaxClients), maxCap),
		},
		timeout:  cmp.Or(opts.Timeout, DefaultTimeout),
		uses:     opts.Uses,
		trail:    opts.Trail,
		refusals: opts.Refusals,
		hook:     opts.Hook,
	}
	if s.timeout < 0 {
		return s, errors.New("keys: the timeout is negative")
	}
	if s.rateLimit < 0 || s.rateLimit > MaxRateLimit {
		return s, errors.New("keys: the default rate limit is negative, or more than a billion")
	}
	if err := s.checkFormats(); err != nil {
		return s, err
	}
	s.hasher, err = newHasher(opts.Peppers)
	return s, err
}

// checkFormats returns an error unless each text can be of one format alone.
func (s *settings) checkFormats() error {
	if s.key.layout >= Apart || s.token.layout >= Apart || s.client.layout != Apart {
		return errors.New("keys: keys and tokens need the layout Dotted or Fixed, clients the layout Apart")
	}
	pairs := [][2]*Format{{s.key, s.token}, {s.key, s.client}, {s.token, s.client}}
	for _, f := range s.others {
		if f == nil || f.layout == Apart {
			return errors.New("keys: one of OtherFormats is nil, or has the layout Apart")
		}
		pairs = append(pairs, [2]*Format{f, s.token}, [2]*Format{f, s.client})
	}
	for _, pair := range pairs {
		if a, b := pair[0].prefix, pair[1].prefix; strings.HasPrefix(a, b) || strings.HasPrefix(b, a) {
			return fmt.Errorf("keys: the prefixes %q and %q cannot be told apart", a, b)
		}
	}
	for i, f := range s.others {
		for _, later := range s.others[i+1:] {
			if f.layout == derived && strings.HasPrefix(later.begins(), f.lead) {
				return fmt.Errorf("keys: of OtherFormats, the one with the prefix %q has no ID in its texts and takes those of the one with the prefix %q too: put it last", f.prefix, later.prefix)
			}
		}
	}
	return nil
}

func orDefault(f, def *Format) *Format {
	if f == nil {
		return def
	}
	return f
}

// format returns the text form of a kind.
func (s *settings) format(k Kind) *Format {
	switch k {
	case KindToken:
		return s.token
	case KindClient:
		return s.client
	}
	return s.key
}
