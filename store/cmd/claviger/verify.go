package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

var verifyCommand = command{
	name: "verify", brief: "say whether a credential on standard input is good, and why not",
	setup: func(fs *flag.FlagSet) action {
		var c claim
		fs.StringVar(&c.client, "client", "", "`ID` of a client, whose secret is on standard input")
		from := fs.String("from", "", "also say whether it may be used from this `address`")
		fs.Var(&c.scopes, "scopes", "also say whether it has these scopes, `names` with commas between them")
		return func(ctx context.Context, s *session, _ []string) (err error) {
			if *from != "" {
				if c.from, err = netip.ParseAddr(*from); err != nil {
					return usageError("-from is not an address")
				}
			}
			if err := s.openAsHost(ctx, "verify"); err != nil {
				return err
			}
			what := "Credential"
			if c.client != "" {
				what = "Secret of the client"
			}
			text, err := s.readSecret(ctx, what)
			switch {
			case err != nil:
				return err
			case text == "":
				return usageError("there is no credential on standard input")
			}
			return s.verify(ctx, text, &c)
		}
	},
}

// A claim is what to check besides the credential.
type claim struct {
	client string
	from   netip.Addr
	scopes list
}

// A verdict is what verify prints.
type verdict struct {
	Good   bool   `json:"good"`
	Reason string `json:"reason,omitempty"` // a word of keys.Reason
	Why    string `json:"why,omitempty"`    // the same for people

	ID        string   `json:"id,omitempty"`
	Kind      string   `json:"kind,omitempty"`
	Org       string   `json:"org,omitempty"`
	Client    string   `json:"client,omitempty"`
	Scopes    []string `json:"scopes,omitempty"`
	RateLimit int      `json:"rate_limit,omitempty"`
	Networks  []string `json:"networks,omitempty"`
	ExpiresAt string   `json:"expires_at,omitempty"`

	ReplacedBy string `json:"replaced_by,omitempty"` // the key to use from now on
}

// readOnly is a store to which a check writes nothing. A check would replace an old
// digest by one of the configuration, which may not be the host's.
type readOnly struct{ keys.Store }

func (readOnly) Update(context.Context, keys.Record) error { return keys.ErrConflict }

// verify checks a credential, and prints what it finds.
func (s *session) verify(ctx context.Context, text string, c *claim) error {
	opts := *s.options
	opts.Uses, opts.Trail = nil, false
	verifier, err := keys.NewVerifier(readOnly{s.store}, &opts)
	if err != nil {
		return err
	}
	now := time.Now()
	var p keys.Principal
	var who keys.Claim
	if c.client == "" {
		p, who, err = verifier.VerifyClaim(ctx, text, now)
	} else {
		var rec keys.Record
		rec, err = verifier.VerifyClient(ctx, c.client, text, now)
		who.ID = c.client
		p = keys.Principal{
			Org: rec.Org, ID: rec.ID, Kind: rec.Kind, Scopes: rec.Scopes, RateLimit: rec.RateLimit,
			Networks: rec.Networks, ExpiresAt: rec.ExpiresAt,
		}
	}
	if err == nil {
		return s.printVerdict(c.judge(&p))
	}
	v := verdict{Reason: keys.Reason(err), ID: who.ID, Kind: string(who.Kind), Org: who.Org, ReplacedBy: who.ReplacedBy}
	switch {
	case errors.Is(err, keys.ErrUnavailable):
		return err
	case errors.Is(err, keys.ErrMalformed):
		v.Why = s.malformed(text, c)
	default:
		if v.Why, err = s.why(ctx, err, who.ID, now); err != nil {
			return err
		}
	}
	return s.printVerdict(&v)
}

// judge returns the verdict on a credential that is good, by the address and the
// scopes that were asked for.
func (c *claim) judge(p *keys.Principal) *verdict {
	v := &verdict{
		Good: true, ID: p.ID, Kind: string(p.Kind), Org: p.Org, Client: p.Client, Scopes: p.Scopes.Names(),
		RateLimit: p.RateLimit, Networks: p.Networks.Strings(), ExpiresAt: milliseconds(p.ExpiresAt), ReplacedBy: p.ReplacedBy,
	}
	if c.from.IsValid() && !p.Networks.Allows(c.from) {
		v.Good, v.Reason, v.Why = false, keys.ReasonNetwork, "it may be used from "+p.Networks.String()+" alone"
		return v
	}
	var lacks []string
	for _, name := range c.scopes {
		if !p.Scopes.Contains(name) {
			lacks = append(lacks, name)
		}
	}
	if lacks != nil {
		v.Good, v.Reason, v.Why = false, keys.ReasonScope, "it lacks "+strings.Join(lacks, " ")
	}
	return v
}

// malformed says what is wrong with the form of a text, without repeating any of it.
func (s *session) malformed(text string, c *claim) string {
	formats := s.formats()
	switch {
	case strings.ContainsAny(text, " \t\r\n"):
		return "there are blanks in it; it must be the credential alone, without a scheme"
	case c.client != "":
		return "the ID or the secret does not have the form that those of clients have"
	case !strings.HasPrefix(text, formats[0].Prefix()) && !strings.HasPrefix(text, formats[1].Prefix()):
		why := fmt.Sprintf("it begins neither with %s, as keys do, nor with %s, as tokens do", formats[0].Prefix(), formats[1].Prefix())
		if len(s.options.OtherFormats) > 0 {
			why += ", and has none of the forms of other_keys"
		}
		return why
	}
	return "it has the prefix, but another length, other characters or a wrong checksum: it was cut off or mistyped, or is of another environment"
}

// why says why a credential with the right form is refused. Operators may know that;
// clients are not told.
func (s *session) why(ctx context.Context, refused error, id string, now time.Time) (string, error) {
	if errors.Is(refused, keys.ErrUnknown) {
		return "no record has the ID " + id, nil
	}
	rec, err := s.manager.Find(ctx, id)
	if err != nil {
		return "", err
	}
	if errors.Is(refused, keys.ErrMismatch) {
		return "the ID is that of a " + string(rec.Kind) + " of " + plain(rec.Org) + ", but the secret is another", nil
	}
	subject := "it"
	if rec.Kind == keys.KindToken && !rec.Revoked() && !rec.Expired(now) {
		if rec, err = s.manager.Find(ctx, rec.Parent); errors.Is(err, keys.ErrNotFound) {
			return "its client has no record", nil
		} else if err != nil {
			return "", err
		}
		subject = "its client " + rec.ID
	}
	switch state(&rec, now) {
	case "revoked":
		return subject + " was revoked at " + instant(rec.RevokedAt), nil
	case "expired":
		return subject + " expired at " + instant(rec.ExpiresAt), nil
	case "paused":
		return subject + " is paused since " + instant(rec.DisabledAt), nil
	}
	return "it was changed just now", nil
}

func (s *session) printVerdict(v *verdict) error {
	var refused error
	if !v.Good {
		refused = errSilentRefused
	}
	if s.json {
		return errors.Join(s.printJSON(v), refused)
	}
	t := newTable(s.stdout)
	defer t.end()
	if v.Good {
		t.row("good", "yes")
	} else {
		t.row("good", "no: "+v.Reason)
	}
	t.pair("why", v.Why)
	t.pair("id", v.ID)
	t.pair("kind", v.Kind)
	t.pair("organization", v.Org)
	t.pair("client", v.Client)
	t.pair("scopes", strings.Join(v.Scopes, " "))
	if v.RateLimit > 0 {
		t.pair("requests a minute", number(v.RateLimit))
	}
	t.pair("networks", strings.Join(v.Networks, " "))
	t.pair("expires", v.ExpiresAt)
	t.pair("replaced by", v.ReplacedBy)
	return refused
}
