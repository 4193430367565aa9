package keys_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/claviger-auth/claviger/keys"
)

var entryTime = time.Date(2026, time.March, 1, 12, 0, 0, 7e6, time.UTC)

// fullEntry is an entry with every field set.
func fullEntry() keys.Entry {
	return keys.Entry{
		Org: "acme", Chain: "c", Time: entryTime, Action: keys.ActionChanged, ID: "key_1", Kind: keys.KindKey,
		Version: 3, Fields: "label scopes", Other: "key_2", Actor: "host:anna", Address: netip.MustParseAddr("192.0.2.1"),
		Reason: keys.ReasonTakenBack, Count: 9,
	}.Follow(keys.Link{Seq: 6, Hash: keys.ChainHash{1, 2, 3}})
}

// compareEntries compares entries field by field.
var compareEntries = cmpopts.EquateComparable(netip.Addr{})

// The encoding is written here a second time, after its documentation. The hash of
// fullEntry never changes.
func TestEntryHash(t *testing.T) {
	t.Parallel()
	e := fullEntry()
	if e.Seq != 7 || e.Previous != (keys.ChainHash{1, 2, 3}) {
		t.Errorf("Follow gave position %d after %v", e.Seq, e.Previous)
	}
	var content strings.Builder
	for _, part := range []any{
		"acme", "c", int64(1772366400007), "changed", "key_1", "key", int64(3), "label scopes", "key_2", "host:anna",
		"192.0.2.1", "taken_back", int64(9),
	} {
		n, isNumber := part.(int64)
		text, _ := part.(string)
		if !isNumber {
			n = int64(len(text))
		}
		for shift := 56; shift >= 0; shift -= 8 {
			content.WriteByte(byte(n >> shift))
		}
		content.WriteString(text)
	}
	if got := string(e.Content()); got != content.String() {
		t.Errorf("content\n%q\nwant\n%q", got, content.String())
	}
	all := "claviger trail 1" + string(e.Previous[:]) + "\x00\x00\x00\x00\x00\x00\x00\x07" + content.String()
	if want := keys.ChainHash(sha256.Sum256([]byte(all))); e.Hash != want {
		t.Errorf("hash %v, want %v", e.Hash, want)
	}
	const golden = "ea1d2b9eedbfe15890c3d5623012e661c0b229fbf53d766496b0377c1359799c"
	if e.Hash.String() != golden {
		t.Errorf("hash %v, want %s forever", e.Hash, golden)
	}
}

// Entries that differ in one field, whichever it is, have different hashes.
func TestEntryHashCoversAll(t *testing.T) {
	t.Parallel()
	full := fullEntry()
	other := keys.Entry{
		Org: "acm", Chain: "ec", Seq: 8, Time: entryTime.Add(time.Millisecond), Action: "rotated", ID: "key_", Kind: "client",
		Version: 4, Fields: "label scope", Other: "skey_2", Actor: "host:ann", Address: netip.MustParseAddr("192.0.2.2"),
		Reason: "", Count: 8, Previous: keys.ChainHash{1, 2},
	}
	for i := range reflect.TypeFor[keys.Entry]().NumField() {
		name := reflect.TypeFor[keys.Entry]().Field(i).Name
		if name == "Hash" {
			continue
		}
		e := full
		reflect.ValueOf(&e).Elem().Field(i).Set(reflect.ValueOf(other).Field(i))
		if e == full {
			t.Errorf("%s is not varied", name)
		}
		var tampered *keys.TamperError
		_, err := keys.VerifyChain(e.Org, e.Chain, keys.Link{Seq: e.Seq - 1, Hash: e.Previous}, entriesOf(e))
		if !errors.As(err, &tampered) || tampered.Seq != e.Seq || tampered.Reason != "was changed" {
			t.Errorf("%s was changed: %v", name, err)
		}
	}
	if _, err := keys.VerifyChain("acme", "c", keys.Link{Seq: 6, Hash: full.Previous}, entriesOf(full)); err != nil {
		t.Error(err)
	}
}

// An entry that was written as JSON is read as it was. Fields that are zero are left
// out.
func TestEntryJSON(t *testing.T) {
	t.Parallel()
	for _, e := range []keys.Entry{fullEntry(), {Org: "acme", Time: entryTime, Action: keys.ActionCreated}} {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back keys.Entry
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, back, compareEntries); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", text, diff)
		}
		if bytes.Contains(text, []byte(`""`)) {
			t.Errorf("%s has an empty field", text)
		}
	}
	var h keys.ChainHash
	for _, text := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("0", 66), strings.Repeat("g", 64)} {
		if err := h.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is a hash", text)
		}
	}
	if err := h.UnmarshalText([]byte(hex.EncodeToString(bytes.Repeat([]byte{7}, 32)))); err != nil || h[31] != 7 {
		t.Errorf("a hash was read as %v, %v", h, err)
	}
}

func TestEntryValidate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 256)
	for _, tt := range []struct {
		name string
		edit func(*keys.Entry)
		ok   bool
	}{
		{"as it is", func(*keys.Entry) {}, true},
		{"the longest", func(e *keys.Entry) { e.Org, e.ID, e.Actor, e.Other = long[1:], long[1:], long[1:], long[1:] }, true},
		{"the longest action", func(e *keys.Entry) { e.Action = keys.Action(long[:16]) }, true},
		{"IPv6", func(e *keys.Entry) { e.Address = netip.MustParseAddr("2001:db8::1") }, true},
		{"nobody", func(e *keys.Entry) { e.Actor, e.Address = "", netip.Addr{} }, true},
		{"no organization", func(e *keys.Entry) { e.Org = "" }, false},
		{"no action", func(e *keys.Entry) { e.Action = "" }, false},
		{"no time", func(e *keys.Entry) { e.Time = time.Time{} }, false},
		{"microseconds", func(e *keys.Entry) { e.Time = e.Time.Add(1000) }, false},
		{"a long ID", func(e *keys.Entry) { e.ID = long }, false},
		{"a long other", func(e *keys.Entry) { e.Other = long }, false},
		{"a long actor", func(e *keys.Entry) { e.Actor = long }, false},
		{"a long action", func(e *keys.Entry) { e.Action = keys.Action(long) }, false},
		{"a long reason", func(e *keys.Entry) { e.Reason = long }, false},
		{"long fields", func(e *keys.Entry) { e.Fields = long }, false},
		{"a long kind", func(e *keys.Entry) { e.Kind = "sessions" }, false},
		{"NUL", func(e *keys.Entry) { e.Actor = "a\x00" }, false},
		{"no UTF-8", func(e *keys.Entry) { e.Reason = "\xff" }, false},
		{"a negative version", func(e *keys.Entry) { e.Version = -1 }, false},
		{"a negative count", func(e *keys.Entry) { e.Count = -1 }, false},
		{"a zone", func(e *keys.Entry) { e.Address = netip.MustParseAddr("fe80::1%eth0") }, false},
		{"IPv4 in IPv6", func(e *keys.Entry) { e.Address = netip.MustParseAddr("::ffff:192.0.2.1") }, false},
	} {
		e := fullEntry()
		tt.edit(&e)
		if err := e.Validate(); (err == nil) != tt.ok || err != nil && !errors.Is(err, keys.ErrInvalid) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// entriesOf iterates over entries, without an error.
func entriesOf(entries ...keys.Entry) func(func(keys.Entry, error) bool) {
	return func(yield func(keys.Entry, error) bool) {
		for e := range slices.Values(entries) {
			if !yield(e, nil) {
				return
			}
		}
	}
}
