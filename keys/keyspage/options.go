package keyspage

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"path"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
)

// Options are the settings of a [Handler].
type Options struct {
	// Path is where the pages are. It begins with a slash and does not end in
	// one, and is clean, of letters, digits and "-._~/". If empty, "/manage".
	Path string

	// Name is the name of the host, at the top of the default layout. If empty,
	// "API access".
	Name string

	// Layout writes a page of the host around the content of a page. If nil,
	// the package's own layout. An error is answered 500.
	Layout func(w io.Writer, r *http.Request, page Page) error

	// Stylesheet is the URL of a stylesheet of the host, on the same origin. It is
	// loaded after the package's own, whose rules are in a cascade layer, so that
	// every rule of the host wins. If empty, there is none.
	Stylesheet string

	// Text returns a text of the pages in the language of a reader, given the
	// English one, which is in [Texts], and its arguments, as [fmt.Sprintf] has
	// them. The method Sprintf of a printer of golang.org/x/text/message is such
	// a function but for the context, which is that of the request. Text must be
	// safe for concurrent use. If nil, the English text.
	Text func(ctx context.Context, format string, args ...any) string

	// SignIn is the URL where somebody signs in who is not, or not any more. If
	// empty, no page links there.
	SignIn string

	// SignOut is a URL that signs out who sends a POST to it. If it is not empty,
	// the default layout has a button for it.
	SignOut string

	// Limiter remembers which forms were sent, in the space "page", so that a
	// form that is sent again makes no second key. If nil, each process remembers
	// that for itself: a reload that reaches another process makes a second key,
	// and shows it.
	Limiter *ratelimit.Limiter

	// Logger is told, at level Error, of the errors behind answers of 500 and
	// 503, which say nothing about them to the reader. It is not told of requests
	// whose client has gone. If nil, errors are dropped.
	Logger *slog.Logger
}

// A Page is what a layout is written around.
type Page struct {
	Title string // of the document, as text
	Lang  string // the language of the content, for the attribute lang: what Text makes of "en"

	// Head belongs into the element head: the package's stylesheet, its script,
	// and Options.Stylesheet.
	Head template.HTML

	// Body belongs into the element body: a div of the class kp, with the
	// navigation and the main element of the document in it.
	Body template.HTML

	// Principal is who reads the page, and zero if nobody is signed in.
	Principal keys.Principal
}

const defaultPath = "/manage"

// checkPath says whether pages can be at a path.
func checkPath(p string) error {
	unreserved := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~/", r)
	}
	if !strings.HasPrefix(p, "/") || p == "/" || path.Clean(p) != p || strings.ContainsFunc(p, func(r rune) bool { return !unreserved(r) }) {
		return errors.New("keyspage: the path does not begin with a slash, ends in one, or is not clean")
	}
	return nil
}

// english is the default of Options.Text.
func english(_ context.Context, format string, args ...any) string {
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}
