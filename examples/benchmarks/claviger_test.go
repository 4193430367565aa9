package benchmarks_test

import (
	"context"
	"hash/crc32"
	"net/http"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/store"
)

// plenty is a limit in requests a minute that no case uses up.
const plenty = 1_000_000_000

// A host is what a program makes that protects its handlers with Claviger, as
// the README of the root has it.
type host struct {
	db      *store.Memory
	manager *keys.Manager
	guard   *middleware.Guard
}

func newHost(opts *middleware.Options) *host {
	h := &host{db: new(store.Memory)}
	h.manager = must(keys.NewManager(h.db, &keys.Options{Catalog: catalog, RateLimit: plenty}))
	limiter := must(ratelimit.NewLimiter(&h.db.Memory, nil))
	h.guard = must(middleware.NewGuard(h.manager.Verifier(), limiter, opts))
	return h
}

// key makes a key of an organization and returns its ID and its text.
func (h *host) key(org string, limit int) (id, text string) {
	issued := must(h.manager.Create(context.Background(), org, keys.Spec{RateLimit: limit}))
	return issued.Record.ID, issued.Text.Reveal()
}

// expired puts a key into the store that was good for an hour and is not any
// more, and returns its text.
func (h *host) expired(org string) string {
	elsewhere := must(keys.NewManager(new(store.Memory), &keys.Options{Catalog: catalog}))
	issued := must(elsewhere.Create(context.Background(), org, keys.Spec{Lifetime: time.Hour, RateLimit: plenty}))
	r := issued.Record
	r.CreatedAt, r.ExpiresAt = r.CreatedAt.Add(-2*time.Hour), r.ExpiresAt.Add(-2*time.Hour)
	if err := h.db.Insert(context.Background(), r); err != nil {
		panic(err)
	}
	return issued.Text.Reveal()
}

// A credentials holds one text for each way in which a credential can be bad.
type credentials struct{ good, malformed, unknown, wrong, expired, revoked, over string }

func (h *host) credentials() credentials {
	var c credentials
	id, text := h.key(org, plenty)
	c.good = text
	c.malformed = text[:len(text)-1] + "~"
	c.unknown = must(newKeyText())
	c.wrong = withSecretOf(id, c.unknown)
	c.expired = h.expired(org)
	id, c.revoked = h.key(org, plenty)
	if err := h.manager.Revoke(context.Background(), org, keys.KindKey, id); err != nil {
		panic(err)
	}
	_, c.over = h.key("globex", 1)
	if _, err := h.guard.Check(bearer(c.over), need); err != nil {
		panic(err)
	}
	return c
}

// newKeyText returns a key that no store has.
func newKeyText() (string, error) {
	format := keys.MustFormat("key_", keys.Dotted, nil)
	token, err := format.New("")
	if err != nil {
		return "", err
	}
	return format.Text(token).Reveal(), nil
}

// withSecretOf returns a well-formed key with an ID and the random part of
// another key's secret.
func withSecretOf(id, text string) string {
	_, secret, _ := strings.Cut(text, ".")
	text = id + "." + secret[:len(secret)-6]
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var sum [6]byte
	n := crc32.ChecksumIEEE([]byte(text))
	for i := len(sum) - 1; i >= 0; i-- {
		sum[i], n = digits[n%62], n/62
	}
	return text + string(sum[:])
}

// need is what most cases ask for.
var need = middleware.Need{All: []string{scope}}

// typed returns a handler that checks requests itself, and needs no context.
func typed(g *middleware.Guard, quota bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		access, err := g.Check(r, need)
		if err != nil {
			g.Refuse(w, r, access, err)
			return
		}
		if quota {
			access.SetHeader(w.Header())
		}
		w.WriteHeader(http.StatusNoContent)
	})
}
