package main

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
)

const (
	maxWebhooks = 100 // per organization
	maxEvents   = 32  // per subscription
	maxURL      = 2048
)

// A webhook is a subscription. Its secret signs deliveries; it is its own, so
// revoking the key that made the subscription leaves it alone.
type webhook struct {
	ID        string   `json:"id"`
	URL       string   `json:"url"`
	Events    []string `json:"events"`
	Active    bool     `json:"active"`
	CreatedAt string   `json:"created_at"`

	org    string
	secret keys.Secret
}

// webhooks keeps the subscriptions of all organizations. The zero value is
// ready.
type webhooks struct {
	mu   sync.Mutex
	byID map[string]webhook // deleted ones included, which are not active
}

func (ws *webhooks) routes(path string) []keyshttp.Route {
	return []keyshttp.Route{
		{Method: "POST", Path: path, Handler: http.HandlerFunc(ws.create)},
		{Method: "GET", Path: path, Handler: http.HandlerFunc(ws.list)},
		{Method: "DELETE", Path: path + "/{id}", Handler: http.HandlerFunc(ws.delete)},
	}
}

func (ws *webhooks) create(w http.ResponseWriter, r *http.Request) {
	caller, _ := keys.FromContext(r.Context())
	var target *string
	var events *[]string
	if err := keyshttp.ReadJSON(w, r, 0, keyshttp.Optional("url", &target), keyshttp.Optional("events", &events)); err != nil {
		keyshttp.WriteError(w, err)
		return
	}
	if target == nil || !publicURL(*target) {
		invalid(w, "url must be an https URL of a public host")
		return
	}
	if events == nil {
		events = &[]string{"*"}
	}
	if !validEvents(*events) {
		invalid(w, "events must be 1 to 32 names of lower-case letters, digits, dots and underscores")
		return
	}
	hook := webhook{
		ID: "wh_" + strings.ToLower(rand.Text()), URL: *target, Events: *events, Active: true,
		CreatedAt: time.Now().UTC().Format(keyshttp.TimeFormat),
		org:       caller.Org, secret: keys.NewSecret("whsec_" + rand.Text() + rand.Text()),
	}
	if !ws.add(hook) {
		invalid(w, "the organization has as many subscriptions as it may have")
		return
	}
	keyshttp.WriteJSON(w, http.StatusCreated, struct {
		webhook
		Secret string `json:"secret"`
	}{hook, hook.secret.Reveal()})
}

func invalid(w http.ResponseWriter, description string) {
	keyshttp.WriteError(w, &keyshttp.Error{Status: http.StatusUnprocessableEntity, Code: "invalid_value", Description: description})
}

func (ws *webhooks) list(w http.ResponseWriter, r *http.Request) {
	caller, _ := keys.FromContext(r.Context())
	ws.mu.Lock()
	found := ws.of(caller.Org)
	ws.mu.Unlock()
	keyshttp.WriteJSON(w, http.StatusOK, map[string][]webhook{"webhooks": found})
}

func (ws *webhooks) delete(w http.ResponseWriter, r *http.Request) {
	caller, _ := keys.FromContext(r.Context())
	if !ws.end(caller.Org, r.PathValue("id")) {
		keyshttp.WriteError(w, keys.ErrNotFound)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

// add keeps a new subscription, if its organization may have one more.
func (ws *webhooks) add(hook webhook) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.of(hook.org)) >= maxWebhooks {
		return false
	}
	if ws.byID == nil {
		ws.byID = make(map[string]webhook)
	}
	ws.byID[hook.ID] = hook
	return true
}

// of returns the active subscriptions of an organization, the oldest first.
// The caller holds ws.mu.
func (ws *webhooks) of(org string) []webhook {
	found := []webhook{}
	for _, hook := range ws.byID {
		if hook.org == org && hook.Active {
			found = append(found, hook)
		}
	}
	slices.SortFunc(found, func(a, b webhook) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return found
}

// end ends a subscription of an organization, and reports whether there is or
// was one.
func (ws *webhooks) end(org, id string) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	hook, ok := ws.byID[id]
	if !ok || hook.org != org {
		return false
	}
	hook.Active, hook.secret = false, keys.Secret{}
	ws.byID[id] = hook
	return true
}

var eventName = regexp.MustCompile(`^(\*|[a-z0-9_]+(\.[a-z0-9_]+)*)$`)

func validEvents(events []string) bool {
	return len(events) > 0 && len(events) <= maxEvents && !slices.ContainsFunc(events, func(e string) bool {
		return len(e) > 64 || !eventName.MatchString(e)
	})
}

// publicURL reports whether deliveries to a URL leave over TLS for a host that
// is not plainly on the inside. Whoever delivers must also look at the address
// that the name resolves to at that moment.
func publicURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxURL || u.Scheme != "https" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return false
	}
	if strings.HasSuffix(u.Host, ":") {
		return false
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		return publicAddr(addr)
	}
	return publicName(host)
}

// globalIPv6 is all that IANA hands out for the Internet (RFC 4291 §2.4).
var globalIPv6 = netip.MustParsePrefix("2000::/3")

// special are the networks that netip has no method for (RFC 6890): shared
// address space, protocol assignments, documentation, benchmarks, relays,
// reserved, and those that hold an IPv4 address inside.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"),
}

func publicAddr(addr netip.Addr) bool {
	if addr.Zone() != "" {
		return false
	}
	addr = addr.Unmap()
	if addr.Is6() && !globalIPv6.Contains(addr) {
		return false
	}
	return addr.IsGlobalUnicast() && !addr.IsPrivate() &&
		!slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(addr) })
}

var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// publicName reports whether a name can be one on the Internet. A last label of
// digits would make it an address in a form that only some programs read.
func publicName(host string) bool {
	if len(host) > 253 || !hostName.MatchString(host) {
		return false
	}
	for _, inside := range []string{"localhost", "local", "internal", "localdomain", "home.arpa", "intranet", "lan", "corp", "svc", "test", "invalid", "onion"} {
		if strings.HasSuffix("."+host, "."+inside) {
			return false
		}
	}
	return true
}
