package middleware

import (
	"errors"
	"net/url"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/ratelimit"
)

// Options are the settings of a [Guard].
type Options struct {
	// Sources are the places where a credential may be. If empty, the field
	// Authorization with the scheme Bearer. A request with credentials in more
	// than one of them, or with more than one line of these fields, is refused.
	Sources []Source

	// RemoveCredential takes the fields of Sources out of the request before the
	// handler gets it. It is for reverse proxies, which otherwise pass the caller's
	// credential on to the service behind them. A guard further inside then finds
	// no credential.
	RemoveCredential bool

	// Proxies are the trusted proxies in front of the host. They matter for
	// credentials that are bound to networks, for Manage and for Failures. If
	// nil, a request comes from the address of its peer.
	Proxies *Proxies

	// Limit returns the limit of a principal. If nil, it is as many requests a
	// minute as the principal's RateLimit, all of which may come at once. Limits
	// that share a bucket should have the same window: see
	// [ratelimit.Limit.Horizon]. An error is answered 503.
	Limit func(p keys.Principal) (ratelimit.Limit, error)

	// Bucket returns the name of the bucket that a principal's requests are
	// taken from. If nil, it is the principal's Org: all credentials of an
	// organization share one. A name that is empty, has a NUL or is invalid
	// UTF-8 is answered 503. So may be one of more than 300 bytes: see
	// [ratelimit.Store].
	Bucket func(p keys.Principal) string

	// Failures is how many malformed, unknown or wrong credentials an address may
	// present in a minute; all of them may come at once. An IPv6 address stands
	// for its /64. Beyond that, all requests from the address are answered 429
	// before anything is looked up, those with good credentials too: clients
	// behind one address can keep each other out, and so can all whose address is
	// unknown, such as on a Unix socket without Proxies. Each process counts for
	// itself.
	// If zero, failures are not counted.
	Failures int

	// AllowPreflight lets CORS preflight requests through to the handler
	// without a credential and without a principal: those with the method
	// OPTIONS, an Origin and an Access-Control-Request-Method. Handlers must
	// then do nothing for OPTIONS but answer the preflight.
	AllowPreflight bool

	// OmitQuota leaves RateLimit-Policy and RateLimit out of answers other
	// than 429.
	OmitQuota bool

	// LegacyQuota adds X-RateLimit-Limit, X-RateLimit-Remaining and
	// X-RateLimit-Reset, the last in seconds since 1970, wherever RateLimit is.
	LegacyQuota bool

	// Realm names the protected space in challenges (RFC 9110 §11.5). It is
	// printable ASCII without quotes and backslashes. If empty, "api".
	Realm string

	// ResourceMetadata is the URL of the protected resource metadata (RFC 9728
	// §5.1), which challenges then name. If empty, they do not.
	ResourceMetadata string

	// WriteError writes the body of refusals. If nil, httpjson.WriteJSON.
	WriteError httpjson.ErrorWriter

	// Hook receives keys.Accepted for each request that is let in, and
	// keys.Refused for each one that is not. If the key has a successor,
	// keys.UsedReplaced or keys.UsedEnded follows, each at most once a minute for a
	// key. For all of them but keys.Accepted, keys.AddressFromContext finds where the
	// request comes from. If nil, these events are dropped.
	Hook keys.Hook
}

// challengeSettings checks the realm and the URL in challenges, and returns the
// realm.
func (o *Options) challengeSettings() (realm string, err error) {
	realm = o.Realm
	if realm == "" {
		realm = "api"
	}
	if !quotable(realm) {
		return "", errors.New("middleware: the realm is not printable ASCII without quotes and backslashes")
	}
	if o.ResourceMetadata != "" && !quotableURL(o.ResourceMetadata) {
		return "", errors.New("middleware: the resource metadata is not an absolute URL")
	}
	return realm, nil
}

// quotable reports whether text can stand in a quoted string without escapes.
// Challenge parsers in use trip over those.
func quotable(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// quotableURL reports whether text is an absolute http or https URL that can stand in a
// quoted string.
func quotableURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" &&
		quotable(text) && !strings.Contains(text, " ")
}
