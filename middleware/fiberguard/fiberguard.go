package fiberguard

import (
	"bytes"
	"context"
	"net/http"
	"net/url"

	"github.com/claviger-auth/claviger/keys"
	"github.com/gofiber/fiber/v3"
)

// Wrap returns a fiber handler that does what the middleware m does. Give it what the
// methods Require, RequireAny, Authenticated, Need and Manage of a Guard return, or the
// method Limit of a Throttle. Handlers after it in fiber's chain run only for requests
// that m lets through.
//
// The request that m sees has the method, the URL, the header, the address and the
// context of fiber's request, and no body. If m removes fields of the header, Wrap
// removes them from fiber's, and the context that m passes on becomes fiber's. What m
// adds to the header, or changes in it, does not reach fiber's.
func Wrap(m func(http.Handler) http.Handler) fiber.Handler {
	return func(c fiber.Ctx) (err error) {
		w, r := &answer{header: make(http.Header)}, request(c)
		admitted := false
		m(http.HandlerFunc(func(_ http.ResponseWriter, next *http.Request) {
			admitted = true
			w.sendHeader(c)
			admit(c, next)
			err = c.Next()
		})).ServeHTTP(w, r)
		if !admitted {
			w.sendHeader(c)
			c.Status(w.status()).Response().SetBodyRaw(w.body.Bytes())
		}
		return err
	}
}

// request returns a request of net/http. It holds copies: fiber uses the memory of a
// request for others when the handler has returned.
func request(c fiber.Ctx) *http.Request {
	from := c.RequestCtx()
	uri := from.Request.URI()
	r := &http.Request{
		Method:     string(from.Method()),
		URL:        &url.URL{Path: string(uri.Path()), RawQuery: string(uri.QueryString())},
		RequestURI: string(from.RequestURI()),
		Host:       string(from.Host()),
		RemoteAddr: from.RemoteAddr().String(),
		Header:     make(http.Header),
		Body:       http.NoBody,
	}
	for name, value := range from.Request.Header.All() {
		r.Header.Add(string(name), string(value))
	}
	ctx := c.Context()
	if local := from.LocalAddr(); local.Network() == "unix" { // middleware.Proxies looks for it
		ctx = context.WithValue(ctx, http.LocalAddrContextKey, local)
	}
	return r.WithContext(ctx)
}

// admit applies to the request of fiber what the middleware has changed in r.
func admit(c fiber.Ctx, r *http.Request) {
	removeFields(c, r.Header)
	ctx := r.Context()
	c.SetContext(ctx)
	if p, found := ctx.Value(keys.PrincipalKey).(*keys.Principal); found {
		c.Locals(keys.PrincipalKey, p)
	}
}

// removeFields removes the fields of fiber's request that are not in h. Their names
// need not be in canonical form, since fiber can be set up to leave them as they came.
func removeFields(c fiber.Ctx, h http.Header) {
	var gone []string
	for name := range c.Request().Header.All() {
		if h[string(name)] == nil && h[http.CanonicalHeaderKey(string(name))] == nil { // the first without a copy
			gone = append(gone, string(name))
		}
	}
	for _, name := range gone {
		c.Request().Header.Del(name)
	}
}

// An answer keeps what the middleware writes.
type answer struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (w *answer) Header() http.Header { return w.header }

func (w *answer) WriteHeader(code int) {
	if w.code == 0 {
		w.code = code
	}
}

func (w *answer) Write(text []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(text)
}

// status returns the status of the answer, or 500 if the middleware has written none.
func (w *answer) status() int {
	if w.code == 0 {
		return http.StatusInternalServerError
	}
	return w.code
}

// sendHeader sets the fields of the answer in fiber's response.
func (w *answer) sendHeader(c fiber.Ctx) {
	h := &c.Response().Header
	for name, values := range w.header {
		h.Del(name)
		for _, value := range values {
			h.Add(name, value)
		}
	}
}
