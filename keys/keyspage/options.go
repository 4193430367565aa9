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
	// Path is where the pages are. It is a clean path of letters, digits and
	// "-._~/" that begins with a slash and does not end in one. If empty,
	// "/manage".
	Path string

	// Name is the name of the host, at the top of the default layout. If empty,
	// "API access".
	Name string

	// Layout writes a page of the host around the content of a page. If it returns
	// an error, the answer is 500. If nil, the package's own layout.
	Layout func(w io.Writer, r *http.Request, page Page) error

	// Stylesheet is the URL of a stylesheet of the host, on the same origin. It is
	// loaded after the package's own. Since the rules of the latter are in a
	// cascade layer, every rule of the host wins. If empty, there is none.
	Stylesheet string

	// Text translates a text of the pages into the language of the reader. It gets
	// the context of the request, an English text, which is one of [Texts], and
	// the arguments for its verbs, as [fmt.Sprintf] does. A host can call the
	// method Sprintf of a printer of golang.org/x/text/message. Text must be safe
	// for concurrent use. If nil, the texts stay English.
	Text func(ctx context.Context, format string, args ...any) string

	// SignIn is the URL of the page on which people sign in. Pages for readers
	// who are not signed in have a link to it. If empty, they have none.
	SignIn string

	// SignOut is a URL that signs out the sender of a POST. If it is not empty,
	// the default layout has a button for it.
	SignOut string

	// Limiter remembers which forms were sent, in the space "page", so that a
	// form that is sent again makes no second key. If nil, each process remembers
	// only its own forms: then a reload that reaches another process makes a
	// second key, and shows it.
	Limiter *ratelimit.Limiter

	// Logger logs the errors behind answers of 500 and 503 at level Error. The
	// pages do not show these errors. It does not log requests whose client has
	// gone. If nil, nothing is logged.
	Logger *slog.Logger
}

// A Page is what a layout gets to write around.
type Page struct {
	Title string // the title of the document, as text
	Lang  string // the language of the content, for the attribute lang: what Text returns for "en"

	// Head goes into the element head. It loads the package's stylesheet and
	// script, and Options.Stylesheet.
	Head template.HTML

	// Body goes into the element body. It is a div of the class kp, with the
	// navigation and the main element of the document.
	Body template.HTML

	// Principal is the reader of the page. It is zero if nobody is signed in.
	Principal keys.Principal
}

const defaultPath = "/manage"

// checkPath returns an error if the pages cannot be at a path.
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
