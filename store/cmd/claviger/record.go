package main

import (
	"cmp"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// state returns the state of a credential in one word.
func state(rec *keys.Record, now time.Time) string {
	switch {
	case rec.Revoked():
		return "revoked"
	case rec.Expired(now):
		return "expired"
	case rec.Disabled():
		return "paused"
	case rec.ReplacedBy != "":
		return "replaced"
	}
	return "live"
}

// A view is a record as it is printed: without its digests, and with last uses and a new
// secret.
type view struct {
	keys.Record
	lastUse  time.Time
	replaced time.Time // the last use of the key that this one replaces
	replacer time.Time // and of the one that replaces it
	secret   string    // the whole key, or the secret of a client, if it was just made
}

// MarshalJSON gives the promised JSON of the record without "digest" and
// "previous", and with "state"; "last_used_at", "replaces_last_used_at" and
// "replaced_by_last_used_at" if a use is known; and "secret" if it was just made.
func (v view) MarshalJSON() ([]byte, error) {
	rec := v.Record
	rec.Digest, rec.Previous = keys.Digest{}, keys.Digest{}
	out, err := rec.MarshalJSON()
	if err != nil {
		return nil, err
	}
	more, err := json.Marshal(struct {
		State    string `json:"state"`
		LastUse  string `json:"last_used_at,omitempty"`
		Replaced string `json:"replaces_last_used_at,omitempty"`
		Replacer string `json:"replaced_by_last_used_at,omitempty"`
		Secret   string `json:"secret,omitempty"`
	}{state(&rec, time.Now()), milliseconds(v.lastUse), milliseconds(v.replaced), milliseconds(v.replacer), v.secret})
	if err != nil {
		return nil, err
	}
	return append(append(out[:len(out)-1], ','), more[1:]...), nil
}

// milliseconds returns a time as records write it in JSON.
func milliseconds(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// views adds to records when they were last used, and the other keys of their
// rotations.
func (s *session) views(ctx context.Context, records ...keys.Record) ([]view, error) {
	var ids []string
	for i := range records {
		for _, id := range []string{records[i].ID, records[i].Replaces, records[i].ReplacedBy} {
			if id != "" {
				ids = append(ids, id)
			}
		}
	}
	uses, err := s.manager.LastUses(ctx, ids...)
	if err != nil {
		return nil, err
	}
	views := make([]view, len(records))
	for i := range records {
		rec := &records[i]
		views[i] = view{Record: *rec, lastUse: uses[rec.ID], replaced: uses[rec.Replaces], replacer: uses[rec.ReplacedBy]}
	}
	return views, nil
}

// printRecord prints all of a record but its digests.
func (s *session) printRecord(ctx context.Context, rec keys.Record) error {
	views, err := s.views(ctx, rec)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(views[0])
	}
	t := newTable(s.stdout)
	defer t.end()
	views[0].describe(t, s.limit(&rec))
	t.pair("Replaces", withUse(rec.Replaces, views[0].replaced))
	t.pair("Replaced by", withUse(rec.ReplacedBy, views[0].replacer))
	return nil
}

// withUse returns the ID of the other key of a rotation, and when that was last used.
func withUse(id string, last time.Time) string {
	switch {
	case id == "":
		return ""
	case last.IsZero():
		return id + " (no use known)"
	}
	return id + " (last used " + instant(last) + ")"
}

// describe writes the fields of a record that are not empty, with what limit returned.
func (v *view) describe(t *table, limit string) {
	t.pair("ID", v.ID)
	t.pair("Kind", string(v.Kind))
	t.pair("Organization", v.Org)
	t.pair("State", state(&v.Record, time.Now()))
	t.pair("Client", v.Parent)
	t.pair("Label", v.Label)
	t.pair("Environment", v.Environment)
	t.row("Scopes", v.Scopes.String())
	t.row("Requests a minute", limit)
	t.pair("Token lifetime", durationText(v.TokenLifetime))
	t.pair("Networks", strings.Join(v.Networks.Strings(), " "))
	t.pair("Metadata", v.Metadata)
	t.pair("Made by", v.CreatedBy)
	t.pair("Created", instant(v.CreatedAt))
	t.pair("Expires", instant(v.ExpiresAt))
	t.pair("Paused", instant(v.DisabledAt))
	t.pair("Revoked", instant(v.RevokedAt))
	t.pair("Old secret ends", instant(v.PreviousExpiresAt))
	t.pair("Last used", instant(v.lastUse))
	t.pair("Version", strconv.FormatInt(v.Version, 10))
}

// limit returns the requests a minute of a record. If the record leaves that to the
// host, it is "plan" if the host has plans, "default" if that is not known, and else the
// default of the configuration.
func (s *session) limit(rec *keys.Record) string {
	switch {
	case rec.RateLimit > 0:
		return strconv.Itoa(rec.RateLimit)
	case s.conf.Plans:
		return "plan"
	case !s.conf.given:
		return "default"
	}
	return strconv.Itoa(cmp.Or(s.options.RateLimit, keys.DefaultRateLimit))
}
