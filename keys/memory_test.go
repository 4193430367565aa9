package keys_test

import (
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// TestRecordsShareNoMemoryWithSecrets checks that an ID is not a part of the
// text that it was issued in: a store in memory keeps IDs forever, and would
// keep the secrets behind them.
func TestRecordsShareNoMemoryWithSecrets(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &keys.Options{Format: foreign})
	key, c := env.create(keys.Spec{}), createClient(t, env, keys.Spec{})
	tok, err := env.manager.IssueToken(t.Context(), c.Record, scopes.Set{}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	text := keys.NewSecret("vck_imported." + strings.Repeat("s", 32))
	imported, err := env.manager.Import(t.Context(), "acme", text, keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		id   string
		text keys.Secret
	}{
		"a key": {key.Record.ID, key.Text}, "a client": {c.Record.ID, c.Text}, "a token": {tok.Record.ID, tok.Text}, "an import": {imported.ID, text},
	} {
		id, secret := uintptr(unsafe.Pointer(unsafe.StringData(tt.id))), uintptr(unsafe.Pointer(unsafe.StringData(tt.text.Reveal())))
		if id == secret || id+uintptr(len(tt.id)) == secret {
			t.Errorf("%s: the ID and the secret are one piece of memory", name)
		}
	}
}

// TestBuffersAreCleared looks for secrets in the memory that they were copied to to
// be hashed.
func TestBuffersAreCleared(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	manager, verifier := env.over(&keys.Options{Format: partner, Peppers: []keys.Pepper{{Name: "p", Key: keys.NewSecret(strings.Repeat("p", 32))}}})
	buffers := verifier.WatchBuffers()
	issued, err := manager.Create(t.Context(), "acme", keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(t.Context(), issued.Text.Reveal()); err != nil {
		t.Fatal(err)
	}
	if len(buffers()) == 0 {
		t.Fatal("no buffer was used")
	}
	for _, b := range buffers() {
		for _, c := range b {
			if c != 0 {
				t.Fatalf("a buffer holds %q", b)
			}
		}
	}
}

// TestEventsShareNoMemoryWithSecrets checks the IDs of events, which hooks may keep.
func TestEventsShareNoMemoryWithSecrets(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &keys.Options{Format: foreign})
	text := keys.NewSecret("vck_imported." + strings.Repeat("s", 32))
	if _, err := env.manager.Import(t.Context(), "acme", text, keys.Spec{}); err != nil {
		t.Fatal(err)
	}
	texts := []keys.Secret{text, env.create(keys.Spec{}).Text}
	for i, e := range env.events {
		secret := texts[i].Reveal()
		at, from := uintptr(unsafe.Pointer(unsafe.StringData(e.ID))), uintptr(unsafe.Pointer(unsafe.StringData(secret)))
		if at >= from && at < from+uintptr(len(secret)) {
			t.Errorf("the ID of event %d is a part of the secret's text", i)
		}
	}
}
