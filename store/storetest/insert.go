package storetest

import (
	"errors"
	"math"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

var insertClauses = []clause[keys.Store]{
	rule(deadStay,
		"Records that are revoked or expired are kept and found like others. Callers learn that a credential "+
			"has expired rather than that it never was, and audits read it years later. A time to live in "+
			"the database breaks this.",
		deadRecordsStay, roundTrip),
	rule("digests-are-kept",
		"Every form of digest is kept: plain, with a pepper, and those that were imported from other systems. "+
			"A column that is too narrow makes records that admit nobody.",
		digestsAreKept, roundTrip),
	rule("times-are-kept",
		"Times are instants in whole milliseconds from 1970 to 9999, in any location. The zero time means "+
			"never, and is not the first instant of 1970. Seconds, floating point and local time break this.",
		timesAreKept, deadStay),
	rule("numbers-are-kept",
		"Numbers are kept whole up to the largest ones. A 32-bit column, or a script that computes in "+
			"floating point, breaks this.",
		numbersAreKept, roundTrip),
	rule(caseSensitive,
		"IDs that differ in case are different IDs, to Insert and to Get. Most databases can compare "+
			"text without regard to case, and some do so unless told otherwise.",
		idsAreCaseSensitive, seesInserts),
	rule(textKept,
		"Text is kept byte for byte: quotes, wildcards, separators, spaces at the ends, control characters, "+
			"any Unicode form, up to the longest. Text that is quoted, trimmed, normalized or cut is another "+
			"credential, or another organization.",
		textIsKept, caseSensitive),
	rule(neverOverwrite,
		"Insert fails with an error that wraps ErrExists, and changes nothing, if the ID was ever used, by "+
			"whatever organization and kind. Else one organization could take over another's credential.",
		insertNeverOverwrites, roundTrip),
	rule(afterDeath,
		"The ID of a revoked or expired record is never free again. Otherwise an old credential could "+
			"come back to life under a new owner.",
		insertAfterDeath, neverOverwrite, deadStay),
	rule("insert-validates",
		"Insert returns the error of Record.Validate, and adds nothing, if that is not nil. A record without a "+
			"digest or an organization is one that no rule protects.",
		insertValidates, roundTrip, notFound),
}

func insertGetRoundTrip(p *probe, s keys.Store) {
	for _, kind := range kinds {
		for _, r := range []keys.Record{p.full(kind, "full "+string(kind)), p.sparse(kind, "sparse "+string(kind))} {
			p.insert(s, r)
			p.same(p.get(s, r.ID), r, "the record that Get returned after Insert")
		}
	}
}

func deadRecordsStay(p *probe, s keys.Store) {
	for _, kind := range kinds {
		for _, r := range p.dead(kind) {
			p.insert(s, r)
			p.same(p.get(s, r.ID), r, "the dead record that Get returned")
		}
	}
}

// kept inserts records and fails unless Get gives them back.
func (p *probe) kept(s keys.Store, records map[string]keys.Record) {
	for what, r := range records {
		p.insert(s, r)
		p.same(p.get(s, r.ID), r, "the record with "+what)
	}
}

func digestsAreKept(p *probe, s keys.Store) { p.kept(s, p.digested()) }

// digested returns clients with each form of digest.
func (p *probe) digested() map[string]keys.Record {
	records := make(map[string]keys.Record)
	all := digests()
	for i, d := range all {
		r := p.full(keys.KindClient, d.String())
		r.Digest, r.Previous = d, all[(i+1)%len(all)]
		records["the digest "+d.String()] = r
	}
	return records
}

func timesAreKept(p *probe, s keys.Store) { p.kept(s, p.timely()) }

// timely returns keys with times at which stores go wrong. The hours around the
// changes to and from summer time are those of Berlin and of New York, where local
// time leaves out an hour, or has it twice.
func (p *probe) timely() map[string]keys.Record {
	east := time.FixedZone("east", 14*3600)
	last := time.Date(9999, time.December, 31, 23, 59, 59, 999e6, time.UTC)
	times := map[string]time.Time{
		"the first instant of 1970":    time.Unix(0, 0),
		"the second millisecond":       time.UnixMilli(1),
		"a second after 32 bits":       time.Unix(math.MaxInt32+1, 0),
		"a leap day":                   created,
		"a millisecond far from 1970":  time.Date(8765, time.April, 3, 2, 1, 0, 987e6, time.UTC),
		"the last instant of 9999":     last,
		"an instant in another zone":   last.AddDate(-1, 0, 0).In(east),
		"a date that UTC does not see": time.Date(2030, time.January, 1, 0, 30, 0, 0, east),
	}
	for _, hour := range []string{
		"2024-03-31T00:30", "2024-03-31T01:30", "2024-03-31T02:30", "2024-10-26T23:30", "2024-10-27T00:30", "2024-10-27T01:30", "2024-10-27T02:30",
		"2024-03-10T02:30", "2024-03-10T06:30", "2024-03-10T07:30", "2024-11-03T01:30", "2024-11-03T05:30", "2024-11-03T06:30",
	} {
		times[hour+" UTC"] = must(time.Parse("2006-01-02T15:04", hour))
	}
	records := make(map[string]keys.Record)
	for name, t := range times {
		r := p.full(keys.KindKey, name)
		r.CreatedAt, r.ExpiresAt, r.RevokedAt, r.DisabledAt, r.PreviousExpiresAt = t, t, t, t, t
		records["all times at "+name] = r
	}
	return records
}

func numbersAreKept(p *probe, s keys.Store) { p.kept(s, p.numerous()) }

// numerous returns clients with small and large numbers.
func (p *probe) numerous() map[string]keys.Record {
	records := make(map[string]keys.Record)
	for i, n := range []int{0, 1, keys.MaxRateLimit - 1, keys.MaxRateLimit} {
		r := p.full(keys.KindClient, "number "+show(i))
		r.RateLimit, r.TokenLifetime = n, keys.MaxTokenLifetime-time.Duration(i)*time.Millisecond
		r.Version = math.MaxInt64 - 2 - int64(i)
		records["the numbers of "+r.ID] = r
	}
	return records
}

// hostile returns texts that databases and scripts get wrong. Each is at most
// 255 bytes long and valid in every text field. None differs from another only
// in ways that a collation ignores; see idsAreBytes for those.
func hostile() []string {
	return []string{
		`'`, `''`, `"`, "`", `\`, `\\'`, `\0`, `';--`, `$1`, `?`, `:a`, `@a`,
		`%`, `_`, `a%`, `*`, `[a-z]`, `{}`, `{a}b`, `a:b`, `a|b`, `a/b`, `..`, `a,b`, `a;b`, `<a&b>`,
		` `, ` a`, `b `, "\t", "\n", "a\nb", "a\r\nc", "\x01\x1f\x7f", "\u0085", "\u2028",
		`NULL`, `true`, `0`, `007`, `1e3`, `0x10`, `-1`,
		"e\u0301", "\u212b", "\ufb01", "\u0130", "\u202eabc", "\ufeffbom", "\ufffd", "\uffff", "\U0001f511", "\U0010ffff",
		strings.Repeat("x", 255), strings.Repeat("\U0001f511", 63),
	}
}

func textIsKept(p *probe, s keys.Store) {
	all := p.hostileRecords()
	for _, r := range all {
		p.insert(s, r)
	}
	for what, r := range all {
		p.same(p.get(s, r.ID), r, "the record with "+what)
	}
}

// hostileRecords returns records with hostile text in every field that takes it.
func (p *probe) hostileRecords() map[string]keys.Record {
	records := make(map[string]keys.Record)
	for _, text := range hostile() {
		r := p.full(keys.KindToken, "")
		r.ID, r.Org, r.Parent, r.Label = text, text, text, text
		records["the text "+quote(text)] = r
		r = p.full(keys.KindKey, "with "+text)
		r.ID = "key of " + digest(text).Text()
		r.Org, r.Label, r.Metadata, r.CreatedBy, r.Replaces, r.ReplacedBy = text, text, text, text, text, text
		records["the text "+quote(text)+", of a key,"] = r
	}
	wide := p.full(keys.KindKey, "every scope character")
	for c := rune('!'); c <= '~'; c++ {
		if name := string(c); scopes.Valid(name) {
			wide.Scopes = wide.Scopes.Union(scopes.MustParse(name))
		}
	}
	records["every scope character"] = wide
	return records
}

func insertNeverOverwrites(p *probe, s keys.Store) {
	first := p.full(keys.KindKey, "taken")
	p.insert(s, first)
	again := changed(first)
	foreign := p.full(keys.KindKey, "taken")
	foreign.Org += " of others"
	client, token := p.full(keys.KindClient, "taken"), p.full(keys.KindToken, "taken")
	foreignToken := token
	foreignToken.Org = foreign.Org
	for what, r := range map[string]keys.Record{
		"the same record": first, "the same ID": again, "the ID in another organization": foreign,
		"the ID as a client": client, "the ID as a token": token, "the ID as a token of another organization": foreignToken,
	} {
		p.refused(s.Insert(p.ctx, r), keys.ErrExists, "a second Insert of %s", what)
		p.same(p.get(s, first.ID), first, "the first record, after a second Insert of "+what)
	}
}

func insertAfterDeath(p *probe, s keys.Store) {
	for _, kind := range kinds {
		for _, r := range p.dead(kind) {
			p.insert(s, r)
			again := p.full(kind, "another")
			again.ID = r.ID
			p.refused(s.Insert(p.ctx, again), keys.ErrExists, "Insert of the ID of a dead %s", r)
			p.same(p.get(s, r.ID), r, "the dead record, after another Insert")
		}
	}
}

// invalid returns records that Validate refuses, by what is wrong with them. All
// else is as in r, a key.
func invalid(r keys.Record) map[string]keys.Record {
	records := make(map[string]keys.Record)
	add := func(what string, change func(*keys.Record)) {
		bad := r
		change(&bad)
		records[what] = bad
	}
	add("an unknown kind", func(r *keys.Record) { r.Kind = "Key" })
	add("no kind", func(r *keys.Record) { r.Kind = "" })
	add("a key with a parent", func(r *keys.Record) { r.Parent = "parent" })
	add("a token without a parent", func(r *keys.Record) { r.Kind = keys.KindToken })
	add("a label that is too long", func(r *keys.Record) { r.Label = strings.Repeat("x", keys.MaxLabel+1) })
	add("a label with NUL", func(r *keys.Record) { r.Label = "a\x00b" })
	add("a label that is not UTF-8", func(r *keys.Record) { r.Label = "a\xffb" })
	add("a rate limit of -1", func(r *keys.Record) { r.RateLimit = -1 })
	add("a rate limit above the highest", func(r *keys.Record) { r.RateLimit = keys.MaxRateLimit + 1 })
	add("an environment that is no word", func(r *keys.Record) { r.Environment = "Test" })
	add("metadata that is too long", func(r *keys.Record) { r.Metadata = strings.Repeat("x", keys.MaxMetadata+1) })
	add("a maker whose name is too long", func(r *keys.Record) { r.CreatedBy = strings.Repeat("x", keys.MaxID+1) })
	add("a key with a token lifetime", func(r *keys.Record) { r.TokenLifetime = time.Hour })
	add("no digest", func(r *keys.Record) { r.Digest = keys.Digest{} })
	add("a previous digest without an end", func(r *keys.Record) { r.PreviousExpiresAt = time.Time{} })
	add("the end of no previous digest", func(r *keys.Record) { r.Previous = keys.Digest{} })
	add("no creation time", func(r *keys.Record) { r.CreatedAt = time.Time{} })
	add("a time before 1970", func(r *keys.Record) { r.ExpiresAt = time.UnixMilli(-1) })
	add("a time with microseconds", func(r *keys.Record) { r.ExpiresAt = created.Add(time.Microsecond) })
	add("a version of 0", func(r *keys.Record) { r.Version = 0 })
	add("the last version that there is", func(r *keys.Record) { r.Version = math.MaxInt64 })
	return records
}

// unnamed returns records that Validate refuses for their ID or organization.
func unnamed(r keys.Record) map[string]keys.Record {
	records := make(map[string]keys.Record)
	for what, text := range map[string]string{
		"empty": "", "too long": strings.Repeat("x", 256), "with NUL": "a\x00", "not UTF-8": "a\xff",
	} {
		id, org := r, r
		id.ID, org.Org = text, text
		records["an ID that is "+what] = id
		records["an organization that is "+what] = org
	}
	return records
}

// invalidRefused fails unless err is what Validate says about r.
func (p *probe) invalidRefused(err error, r keys.Record, call, what string) {
	p.refused(err, keys.ErrInvalid, "%s of a record with %s", call, what)
	var got, want *keys.InvalidError
	if !errors.As(r.Validate(), &want) {
		p.failf("the kit is wrong: Validate accepts a record with %s", what)
	}
	if !errors.As(err, &got) || *got != *want {
		p.failf("%s of a record with %s failed with %q, want the error of Validate, %q", call, what, err, want)
	}
}

func insertValidates(p *probe, s keys.Store) {
	good := p.full(keys.KindKey, "bad")
	for what, r := range invalid(good) {
		p.invalidRefused(s.Insert(p.ctx, r), r, "Insert", what)
		p.absent(s, good.ID)
	}
	for what, r := range unnamed(good) {
		p.invalidRefused(s.Insert(p.ctx, r), r, "Insert", what)
		if r.ID == good.ID {
			p.absent(s, good.ID)
		}
	}
}
