package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/claviger-auth/claviger/scopes"
)

// recordTime is the layout of times in the JSON of a record: RFC 3339 in UTC, with
// milliseconds.
const recordTime = "2006-01-02T15:04:05.000Z"

// A member is one member of the JSON of a record.
type member struct {
	name string
	zero func(r *Record) bool
	// text returns the value to write, and read the variable to read it into,
	// for package encoding/json.
	text func(r *Record) any
	read func(r *Record, data []byte) error
}

// members are the members of the JSON of a record except for the format, in the order
// in which they are written. A new field of Record needs one more line here; a test
// fails if it is missing.
var members = []member{
	field("id", func(r *Record) *string { return &r.ID }),
	field("kind", func(r *Record) *Kind { return &r.Kind }),
	field("org", func(r *Record) *string { return &r.Org }),
	field("parent", func(r *Record) *string { return &r.Parent }),
	field("label", func(r *Record) *string { return &r.Label }),
	field("scopes", func(r *Record) *scopes.Set { return &r.Scopes }),
	field("rate_limit", func(r *Record) *int { return &r.RateLimit }),
	{
		name: "token_lifetime_ms",
		zero: func(r *Record) bool { return r.TokenLifetime == 0 },
		text: func(r *Record) any { return r.TokenLifetime.Milliseconds() },
		read: readLifetime,
	},
	field("environment", func(r *Record) *string { return &r.Environment }),
	{
		name: "networks",
		zero: func(r *Record) bool { return r.Networks.IsEmpty() },
		text: func(r *Record) any { return r.Networks.Strings() },
		read: readNetworks,
	},
	field("metadata", func(r *Record) *string { return &r.Metadata }),
	field("created_by", func(r *Record) *string { return &r.CreatedBy }),
	field("replaces", func(r *Record) *string { return &r.Replaces }),
	field("replaced_by", func(r *Record) *string { return &r.ReplacedBy }),
	field("digest", func(r *Record) *Digest { return &r.Digest }),
	field("previous", func(r *Record) *Digest { return &r.Previous }),
	instant("previous_expires_at", func(r *Record) *time.Time { return &r.PreviousExpiresAt }),
	instant("created_at", func(r *Record) *time.Time { return &r.CreatedAt }),
	instant("expires_at", func(r *Record) *time.Time { return &r.ExpiresAt }),
	instant("revoked_at", func(r *Record) *time.Time { return &r.RevokedAt }),
	instant("disabled_at", func(r *Record) *time.Time { return &r.DisabledAt }),
	field("version", func(r *Record) *int64 { return &r.Version }),
}

// field is a member whose value package encoding/json writes as it is.
func field[T comparable](name string, of func(*Record) *T) member {
	return member{
		name: name,
		zero: func(r *Record) bool { return *of(r) == *new(T) },
		text: func(r *Record) any { return *of(r) },
		read: func(r *Record, data []byte) error { return json.Unmarshal(data, of(r)) },
	}
}

func instant(name string, of func(*Record) *time.Time) member {
	return member{
		name: name,
		zero: func(r *Record) bool { return of(r).IsZero() },
		text: func(r *Record) any { return of(r).UTC().Format(recordTime) },
		read: func(r *Record, data []byte) error {
			var text string
			if err := json.Unmarshal(data, &text); err != nil {
				return err
			}
			t, err := time.Parse(recordTime, text)
			if err == nil {
				*of(r) = t
			}
			return err
		},
	}
}

func readLifetime(r *Record, data []byte) error {
	var ms int64
	if err := json.Unmarshal(data, &ms); err != nil {
		return err
	}
	if ms < 0 || ms > MaxTokenLifetime.Milliseconds() {
		return errors.New("out of range")
	}
	r.TokenLifetime = time.Duration(ms) * time.Millisecond
	return nil
}

func readNetworks(r *Record, data []byte) error {
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return err
	}
	networks, err := NetworksFromStrings(names...)
	if err == nil {
		r.Networks = networks
	}
	return err
}

// MarshalJSON returns r as a JSON object, for stores that keep a record as one text.
// The form will not change. Its members are "format", which is
// [Record.FormatNumber], and those of the following that are not zero:
//
//	"id", "kind", "org", "parent", "label"     text
//	"scopes"                                   array of text
//	"rate_limit"                               requests per minute
//	"token_lifetime_ms"                        milliseconds
//	"environment"                              text
//	"networks"                                 array of text
//	"metadata", "created_by"                   text
//	"replaces", "replaced_by"                  text
//	"digest", "previous"                       text of [Digest.Text]
//	"previous_expires_at", "created_at", "expires_at", "revoked_at",
//	"disabled_at"                              "2006-01-02T15:04:05.000Z"
//	"version"                                  number
//
// The record must be valid: see [Record.Validate]. The JSON is shorter than 140,000
// bytes; a column of 64 KiB does not hold every record.
func (r Record) MarshalJSON() ([]byte, error) {
	out := fmt.Appendf(nil, `{"format":%d`, r.FormatNumber())
	for i := range members {
		m := &members[i]
		if m.zero(&r) {
			continue
		}
		value, err := json.Marshal(m.text(&r))
		if err != nil {
			return nil, err
		}
		out = fmt.Appendf(out, `,"%s":%s`, m.name, value)
	}
	return append(out, '}'), nil
}

// UnmarshalJSON reads what [Record.MarshalJSON] returned. It reads all of a record or
// nothing. It refuses an unknown member, a member that is there twice, a format above
// [RecordFormat] and a record that is not valid, with an error that wraps
// [ErrCorrupt]. On error r is unchanged.
func (r *Record) UnmarshalJSON(data []byte) error {
	var next Record
	if err := next.readJSON(data); err != nil {
		// The error is not wrapped, so that it is ErrCorrupt and never ErrInvalid,
		// which would blame the caller. It does not quote the data.
		return fmt.Errorf("%w: record %q: %s", ErrCorrupt, next.ID, err)
	}
	*r = next
	return nil
}

func (r *Record) readJSON(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	format := 0
	seen := make(map[string]bool, len(members))
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return errors.New("not valid JSON")
		}
		name, _ := t.(string) // names in an object are strings
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return errors.New("not valid JSON")
		}
		if seen[name] {
			return errors.New("a member that is there twice")
		}
		seen[name] = true
		if err := r.readMember(name, value, &format); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return errors.New("not valid JSON")
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("data after the record")
	}
	if format < 1 || format > RecordFormat {
		return fmt.Errorf("format %d, of which this version knows 1 to %d", format, RecordFormat)
	}
	return r.Validate()
}

func (r *Record) readMember(name string, value json.RawMessage, format *int) error {
	if bytes.Equal(value, []byte("null")) {
		return errors.New("a member that is null")
	}
	if name == "format" {
		return json.Unmarshal(value, format)
	}
	for i := range members {
		if m := &members[i]; m.name == name {
			if m.read(r, value) != nil {
				return errors.New("a bad " + name)
			}
			return nil
		}
	}
	return errors.New("a member that this version does not know")
}
