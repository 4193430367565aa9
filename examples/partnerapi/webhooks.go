package main

import (
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
	"github.com/claviger-auth/claviger/keys/httpjson"
)

const (
	maxWebhooks = 100 // per organization
	maxEvents   = 32  // per subscription
	maxURL      = 2048
)

// A webhook is a subscription. It has a secret of its own, which signs deliveries, so
// it goes on when the key that made it is revoked.
type webhook struct {
	ID        string   `json:"id"`
	URL       string   `json:"url"`
	Events    []string `json:"events"`
	Active    bool     `json:"active"`
	CreatedAt string   `json:"created_at"`

	secret keys.Secret
}

// webhooks keeps the subscriptions of all organizations.
type webhooks struct {
	manager *keys.Manager

	mu    sync.Mutex
	byOrg map[string]*subscriptions
}

// subscriptions are those of one organization, the oldest first, and the IDs of
// the last ones that were deleted, so that deleting one again is no error.
type subscriptions struct {
	active  []webhook
	deleted []string
}

func (ws *webhooks) register(mux interface {
	Handle(pattern string, handler http.Handler)
}, path string, protect func(http.Handler) http.Handler,
) {
	route := func(pattern string, do httpjson.Action) httpjson.Route {
		return httpjson.Route{Pattern: pattern, Handler: protect(httpjson.Manage(do, nil, nil))}
	}
	httpjson.Register(mux, nil, route("POST "+path, ws.create), route("GET "+path, ws.list), route("DELETE "+path+"/{id}", ws.delete))
}

// recheck returns nil if the caller still has the rights that the guard has checked.
// It may have been revoked before it sent the body.
func (ws *webhooks) recheck(r *http.Request, caller keys.Principal) error {
	now, err := ws.manager.Recheck(r.Context(), caller)
	if err == nil && !now.Scopes.Contains(webhooksManage) {
		err = &keys.BeyondError{Field: keys.FieldScopes}
	}
	return err
}

func (ws *webhooks) create(w http.ResponseWriter, r *http.Request, caller keys.Principal) error {
	var target *string
	var events *[]string
	if err := httpjson.Read(w, r, 0, httpjson.Optional("url", &target), httpjson.Optional("events", &events)); err != nil {
		return err
	}
	if target == nil || !publicURL(*target) {
		return invalid("url must be an https URL of a public host")
	}
	if events == nil {
		events = &[]string{"*"}
	}
	if !validEvents(*events) {
		return invalid("events must be 1 to 32 names of lower-case letters, digits, dots and underscores")
	}
	if err := ws.recheck(r, caller); err != nil {
		return err
	}
	hook := webhook{
		ID: "wh_" + strings.ToLower(rand.Text()), URL: *target, Events: *events, Active: true,
		CreatedAt: httpjson.Timestamp(time.Now()), secret: keys.NewSecret("whsec_" + rand.Text() + rand.Text()),
	}
	if !ws.add(caller.Org, hook) {
		return invalid("the organization has as many subscriptions as it may have")
	}
	if err := ws.recheck(r, caller); err != nil {
		ws.end(caller.Org, hook.ID)
		return err
	}
	httpjson.Write(w, http.StatusCreated, struct {
		webhook
		Secret string `json:"secret"`
	}{hook, hook.secret.Reveal()})
	return nil
}

func invalid(description string) error {
	return &httpjson.Refusal{Status: http.StatusUnprocessableEntity, Code: "invalid_value", Description: description}
}

func (ws *webhooks) list(w http.ResponseWriter, _ *http.Request, caller keys.Principal) error {
	ws.mu.Lock()
	found := append([]webhook{}, ws.of(caller.Org).active...) // never null
	ws.mu.Unlock()
	httpjson.Write(w, http.StatusOK, map[string][]webhook{"webhooks": found})
	return nil
}

func (ws *webhooks) delete(w http.ResponseWriter, r *http.Request, caller keys.Principal) error {
	if err := ws.recheck(r, caller); err != nil {
		return err
	}
	if !ws.end(caller.Org, r.PathValue("id")) {
		return keys.ErrNotFound
	}
	httpjson.WriteNothing(w)
	return nil
}

// of returns the subscriptions of an organization. The caller holds ws.mu.
func (ws *webhooks) of(org string) *subscriptions {
	if s := ws.byOrg[org]; s != nil {
		return s
	}
	return new(subscriptions)
}

// add keeps a new subscription, if the organization may have one more.
func (ws *webhooks) add(org string, hook webhook) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	s := ws.of(org)
	if len(s.active) >= maxWebhooks {
		return false
	}
	if ws.byOrg == nil {
		ws.byOrg = make(map[string]*subscriptions)
	}
	s.active = append(s.active, hook)
	ws.byOrg[org] = s
	return true
}

// end ends a subscription of an organization, and reports whether there is one, or
// was one lately.
func (ws *webhooks) end(org, id string) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	s := ws.of(org)
	i := slices.IndexFunc(s.active, func(hook webhook) bool { return hook.ID == id })
	if i < 0 {
		return slices.Contains(s.deleted, id)
	}
	s.active = slices.Delete(s.active, i, i+1)
	if len(s.deleted) == maxWebhooks {
		s.deleted = slices.Delete(s.deleted, 0, 1)
	}
	s.deleted = append(s.deleted, id)
	return true
}

var eventName = regexp.MustCompile(`^(\*|[a-z0-9_]+(\.[a-z0-9_]+)*)$`)

func validEvents(events []string) bool {
	return len(events) > 0 && len(events) <= maxEvents && !slices.ContainsFunc(events, func(e string) bool {
		return len(e) > 64 || !eventName.MatchString(e)
	})
}

// publicURL reports whether deliveries to a URL go over TLS, and to a host that is not
// obviously internal. Whoever delivers must also check the address that the name
// resolves to at that moment.
func publicURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxURL || u.Scheme != "https" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return false
	}
	if strings.HasSuffix(u.Host, ":") || strings.ContainsFunc(text, escaped) {
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

// escaped reports whether a character only stands in a URL with a percent escape (RFC
// 3986 §2).
func escaped(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune("\"<>\\^`{|}", c) }

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
