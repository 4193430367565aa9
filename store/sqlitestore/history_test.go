package sqlitestore_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
	"github.com/claviger-auth/claviger/store/storetest"
)

// A history is what one worker said before it was killed.
type history struct {
	states map[string]*state
	tokens []step
	doubt  step // begun and not acknowledged; Op is empty if there is none
}

// A state is what must hold of a key or a client.
type state struct {
	kind    keys.Kind
	text    string   // the secret that is good
	old     []string // secrets that are not
	revoked bool
	rotated bool // a key that was followed by another
}

func newHistory() *history { return &history{states: make(map[string]*state)} }

// add reads a line.
func (h *history) add(t *testing.T, line []byte) {
	t.Helper()
	var st step
	if err := json.Unmarshal(line, &st); err != nil {
		t.Fatal(err)
	}
	if !st.Done {
		h.doubt = st
		return
	}
	h.doubt = step{}
	s := h.states[st.ID]
	switch st.Op {
	case "create":
		h.states[st.ID] = &state{kind: keys.KindKey, text: st.Text}
	case "client":
		h.states[st.ID] = &state{kind: keys.KindClient, text: st.Text}
	case "token":
		h.tokens = append(h.tokens, st)
	case "secret":
		s.old, s.text = append(s.old, s.text), st.Text
	case "rotate":
		s.rotated = true
		h.states[st.New] = &state{kind: keys.KindKey, text: st.Text}
	case "revoke":
		s.revoked = true
	default:
		t.Fatalf("a step %q", st.Op)
	}
}

// made returns how many records there must be, and how many more may be.
func (h *history) made() (sure, more int) {
	switch h.doubt.Op {
	case "create", "client", "token", "rotate":
		more = 1
	}
	return len(h.states) + len(h.tokens), more
}

// checkFile opens a file after a kill and holds it against all histories.
func checkFile(t *testing.T, path string, all []*history) {
	t.Helper()
	s, err := sqlitestore.Open(path, patient())
	if err != nil {
		t.Fatal(err)
	}
	manager, err := keys.NewManager(s, &keys.Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	sure, more := 0, 0
	for _, h := range all {
		h.check(t, manager.Verifier())
		a, b := h.made()
		sure, more = sure+a, more+b
	}
	for org, err := range manager.Orgs(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		storetest.CheckTrail(t, s, org)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := database(t, hostDSN(path))
	defer db.Close()
	var whole string
	var records int
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&whole); err != nil || whole != "ok" {
		t.Errorf("integrity_check: %s, %v", whole, err)
	}
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM claviger_records").Scan(&records); err != nil {
		t.Fatal(err)
	}
	if records < sure || records > sure+more {
		t.Errorf("%d records, want %d, and at most %d that were not acknowledged", records, sure, more)
	}
}

// check holds the store to what was acknowledged.
func (h *history) check(t *testing.T, v *keys.Verifier) {
	t.Helper()
	for id, s := range h.states {
		doubt := ""
		if h.doubt.ID == id {
			doubt = h.doubt.Op
		}
		err := s.verify(t, v, id, s.text)
		var want []error
		switch {
		case s.revoked:
			want = []error{keys.ErrRevoked}
		case s.rotated:
			want = []error{keys.ErrExpired}
		case doubt == "revoke":
			want = []error{nil, keys.ErrRevoked}
		case doubt == "rotate":
			want = []error{nil, keys.ErrExpired}
		case doubt == "secret":
			want = []error{nil, keys.ErrMismatch}
		default:
			want = []error{nil}
		}
		if !oneOf(err, want) {
			t.Errorf("%s %s (%+v), with %q not acknowledged: %v, want one of %v", s.kind, id, *s, doubt, err, want)
		}
		for _, text := range s.old {
			if err := s.verify(t, v, id, text); !errors.Is(err, keys.ErrMismatch) {
				t.Errorf("%s with a secret that was rotated away: %v", id, err)
			}
		}
	}
	for _, token := range h.tokens {
		want := []error{nil}
		if h.states[token.ID].revoked {
			want = []error{keys.ErrRevoked}
		} else if h.doubt.Op == "revoke" && h.doubt.ID == token.ID {
			want = append(want, keys.ErrRevoked)
		}
		if _, err := v.Verify(t.Context(), token.Text); !oneOf(err, want) {
			t.Errorf("a token of %s: %v, want one of %v", token.ID, err, want)
		}
	}
}

func (s *state) verify(t *testing.T, v *keys.Verifier, id, text string) error {
	t.Helper()
	if s.kind == keys.KindClient {
		_, err := v.VerifyClient(t.Context(), id, text, time.Now())
		return err
	}
	_, err := v.Verify(t.Context(), text)
	return err
}

func oneOf(err error, want []error) bool {
	for _, w := range want {
		if errors.Is(err, w) {
			return true
		}
	}
	return false
}
