package storetest

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

var kinds = []keys.Kind{keys.KindKey, keys.KindClient, keys.KindToken}

// Times of the fixtures. Created is past and expires is far ahead, whenever the
// kit runs, so that records are alive unless a check says otherwise.
var (
	created = time.Date(2024, time.February, 29, 23, 59, 59, 999e6, time.UTC)
	revoked = created.Add(time.Hour)
	expired = created.Add(2 * time.Hour)
	epoch   = time.Unix(0, 0)
	expires = time.Date(2124, time.July, 14, 3, 4, 5, 1e6, time.UTC)
)

// digest returns a digest of the default form, another one for each name.
func digest(name string) keys.Digest {
	sum := sha256.Sum256([]byte(name))
	return mustDigest("$sha256$v=1$" + base64.RawStdEncoding.EncodeToString(sum[:]))
}

func mustDigest(text string) keys.Digest { return must(keys.ParseDigest(text)) }

// digests returns one digest of each form that a record can hold.
func digests() []keys.Digest {
	const (
		salt = "c2FsdCBvZiB0aGUgZWFydGg"
		sum  = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"
	)
	return []keys.Digest{
		digest("plain"),
		mustDigest("$hmac-sha256$v=1,k=pepper_2024$" + sum),
		mustDigest("$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"),
		mustDigest("$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + sum),
	}
}

// full returns a record with every field set that its kind may have, except RevokedAt.
// It does not expire for a long time. Keys and clients are paused. The organization is
// one of the clause's own.
func (p *probe) full(kind keys.Kind, name string) keys.Record {
	r := keys.Record{
		ID:                p.clause + "." + name,
		Kind:              kind,
		Org:               p.clause,
		Label:             "label of " + name,
		Scopes:            scopes.MustParse("identity:read webhooks:manage"),
		RateLimit:         601,
		Digest:            digest(name),
		Previous:          digest(name + " before"),
		PreviousExpiresAt: expires.Add(-time.Hour),
		CreatedAt:         created,
		ExpiresAt:         expires,
		Version:           1,
	}
	switch kind {
	case keys.KindClient:
		r.TokenLifetime = 90*time.Minute + time.Millisecond
	case keys.KindToken:
		r.Parent = p.clause + ".client of " + name
		return r
	}
	r.Environment = "test"
	r.Networks = must(keys.ParseNetworks("192.0.2.0/24 2001:db8::/32"))
	r.Metadata = `{"name": "` + name + `"}`
	r.CreatedBy = "host:maker of " + name
	r.Replaces = p.clause + ".before " + name
	r.ReplacedBy = p.clause + ".after " + name
	r.DisabledAt = created.Add(time.Minute)
	return r
}

// sparse returns a live record in which only fields are set that its kind must have.
func (p *probe) sparse(kind keys.Kind, name string) keys.Record {
	r := p.full(kind, name)
	return keys.Record{ID: r.ID, Kind: kind, Org: r.Org, Parent: r.Parent, RateLimit: 1, Digest: r.Digest, CreatedAt: created, Version: 1}
}

// changed returns r with another value in every field that an update may change, except
// RevokedAt.
func changed(r keys.Record) keys.Record {
	r.Label += ", changed"
	r.Scopes = scopes.MustParse("identity:read keys:manage")
	r.RateLimit++
	if r.Kind == keys.KindClient {
		r.TokenLifetime += time.Minute
	}
	r.Previous, r.Digest = r.Digest, digest(r.Label)
	r.PreviousExpiresAt = expires.Add(-time.Minute)
	r.ExpiresAt = expires.Add(time.Millisecond)
	if r.Kind != keys.KindToken {
		r.Networks = must(keys.ParseNetworks("198.51.100.7/32"))
		r.Metadata += ", changed"
		r.ReplacedBy += ", changed"
		r.DisabledAt = created.Add(2 * time.Minute)
	}
	return r
}

// dead returns records of a kind that are revoked, expired, and both.
func (p *probe) dead(kind keys.Kind) []keys.Record {
	a, b, c := p.full(kind, "revoked"), p.full(kind, "expired"), p.full(kind, "revoked and expired")
	a.RevokedAt, c.RevokedAt = revoked, revoked
	b.ExpiresAt, c.ExpiresAt = expired, expired
	records := []keys.Record{a, b, c}
	for i := range records {
		records[i].ID += " " + string(kind)
	}
	return records
}

// longest returns a record of a kind in which every field that the kind may have
// is as long or as large as Validate allows, RevokedAt included. The ID ends in the
// name, so that each name has another ID.
func (p *probe) longest(kind keys.Kind, name string) keys.Record {
	id := p.clause + "." + name
	id = strings.Repeat("\u20ac", (keys.MaxID-len(id))/3) + strings.Repeat("x", (keys.MaxID-len(id))%3) + id
	last := time.Date(9999, time.December, 31, 23, 59, 59, 999e6, time.UTC)
	r := keys.Record{
		ID:                id,
		Kind:              kind,
		Org:               fill("o", keys.MaxOrg),
		Label:             strings.Repeat("\U0001f511", keys.MaxLabel),
		Scopes:            longestScopes(),
		RateLimit:         keys.MaxRateLimit,
		Digest:            longestDigest('a'),
		Previous:          longestDigest('b'),
		PreviousExpiresAt: last,
		CreatedAt:         last,
		ExpiresAt:         last,
		RevokedAt:         last,
		Version:           math.MaxInt64 - 2, // it can be updated once
	}
	switch kind {
	case keys.KindClient:
		r.TokenLifetime = keys.MaxTokenLifetime
	case keys.KindToken:
		r.Parent = fill("p", keys.MaxID)
		return r
	}
	r.Environment = strings.Repeat("9", keys.MaxEnvironment)
	r.Networks = longestNetworks()
	r.Metadata = fill("m", keys.MaxMetadata)
	r.CreatedBy = fill("c", keys.MaxID)
	r.Replaces = fill("r", keys.MaxID)
	r.ReplacedBy = fill("b", keys.MaxID)
	r.DisabledAt = last
	return r
}

// escaped returns longest with characters that JSON writes as six, where the field
// may hold them: the JSON of no record is longer.
func (p *probe) escaped(kind keys.Kind, name string) keys.Record {
	r := p.longest(kind, name)
	name = p.clause + "." + name
	r.ID = name + strings.Repeat("\x01", keys.MaxID-len(name))
	r.Label = strings.Repeat("<", keys.MaxLabel)
	for _, text := range []*string{&r.Org, &r.Parent, &r.Metadata, &r.CreatedBy, &r.Replaces, &r.ReplacedBy} {
		if *text != "" {
			*text = (*text)[:1] + strings.Repeat("\x01", len(*text)-1) // with a beginning of its own
		}
	}
	var names []string
	for name := range strings.FieldsSeq(r.Scopes.String()) {
		names = append(names, strings.ReplaceAll(name, "s", "<"))
	}
	r.Scopes = must(scopes.Of(names...))
	return r
}

// fill returns n bytes of text that begin with start. Most of the other characters have
// several bytes.
func fill(start string, n int) string {
	n -= len(start)
	return start + strings.Repeat("x", n%3) + strings.Repeat("\u20ac", n/3)
}

// longestScopes returns a set whose text is as long as it may be: 64 names, with
// spaces between them.
func longestScopes() scopes.Set {
	var names []string
	for left := keys.MaxScopes; left > 0; {
		n := min(left, 255)
		if len(names) == 0 {
			n++
		}
		name := fmt.Sprintf("%03d:", len(names))
		names = append(names, name+strings.Repeat("s", n-len(name)))
		left -= n + 1
	}
	return must(scopes.Of(names...))
}

// longestNetworks returns as many networks as there may be, each as long as one
// can be.
func longestNetworks() keys.Networks {
	names := make([]string, keys.MaxNetworks)
	for i := range names {
		names[i] = fmt.Sprintf("ffff:ffff:ffff:ffff:ffff:ffff:ffff:%x/128", 0x1000+2*i)
	}
	return must(keys.NetworksFromStrings(names...))
}

// longestDigest returns a digest of 255 bytes.
func longestDigest(salt byte) keys.Digest {
	head, tail := "$argon2id$v=19$m=19456,t=2,p=1$", "$"+strings.Repeat("A", 43)
	return mustDigest(head + strings.Repeat(string(salt), keys.MaxDigest-len(head)-len(tail)) + tail)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
