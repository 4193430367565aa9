package keys

import (
	"errors"
	"fmt"
	"strings"

	"github.com/claviger-auth/claviger/scopes"
)

// DefaultRateLimit is the limit of credentials that are made without one, in
// requests per minute.
const DefaultRateLimit = 600

// MaxRateLimit is the highest limit that a Manager gives, in requests per
// minute.
const MaxRateLimit = 1_000_000_000

// Options are the settings of a [Manager] and its [Verifier]. Processes that
// share a store need the same value: keys that one makes under a pepper are of
// no use to another that lacks it. The zero value is ready.
type Options struct {
	// Format is the text form of API keys, with the layout [Dotted] or
	// [Fixed]. If nil, Dotted with the prefix "key_".
	Format *Format

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

	// Peppers are the keys for HMAC-SHA-256. The first makes new digests, and
	// all of them check old ones: to change peppers, put the new one first.
	// Digests of other peppers, and plain ones, are replaced when their
	// secret is next used. If empty, digests are plain SHA-256.
	Peppers []Pepper

	// Hook receives every event. If nil, events are dropped.
	Hook Hook
}

// settings are checked options, with the defaults filled in.
type settings struct {
	key, token, client *Format
	catalog            *scopes.Catalog
	rateLimit          int
	hasher             *hasher
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
		catalog:   opts.Catalog,
		rateLimit: opts.RateLimit,
		hook:      opts.Hook,
	}
	if s.rateLimit == 0 {
		s.rateLimit = DefaultRateLimit
	}
	if s.rateLimit < 0 || s.rateLimit > MaxRateLimit {
		return s, errors.New("keys: the default rate limit is negative, or more than a billion")
	}
	if s.key.layout == Apart || s.token.layout == Apart || s.client.layout != Apart {
		return s, errors.New("keys: keys and tokens need the layout Dotted or Fixed, clients the layout Apart")
	}
	for _, pair := range [][2]*Format{{s.key, s.token}, {s.key, s.client}, {s.token, s.client}} {
		if a, b := pair[0].prefix, pair[1].prefix; strings.HasPrefix(a, b) || strings.HasPrefix(b, a) {
			return s, fmt.Errorf("keys: the prefixes %q and %q cannot be told apart", a, b)
		}
	}
	s.hasher, err = newHasher(opts.Peppers)
	return s, err
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
