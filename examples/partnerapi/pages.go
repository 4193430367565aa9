package main

import (
	"bytes"
	"html/template"
	"log/slog"
	"net/http"
	"path"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/keys/keyspage"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
)

// Where the pages are on which an organization manages its keys and clients.
const (
	pagesPath   = "/manage"
	signInPath  = pagesPath + "/sign-in"
	signOutPath = pagesPath + "/sign-out"
	cookieName  = "session"
)

// maxFailures is how often an address may try to sign in within a minute.
const maxFailures = 10

// pages has the pages of package keyspage, behind sessions of this host's own.
// Somebody signs in with a key, and from then on a cookie stands for the key.
type pages struct {
	*keyspage.Handler
	sessions *sessions
	secure   bool // cookies go over HTTPS alone
	keys     *middleware.Guard
	cookies  *middleware.Guard
}

func newPages(m *keys.Manager, l *ratelimit.Limiter, proxies *middleware.Proxies, issuer string, hook keys.Hook, log *slog.Logger) (*pages, error) {
	handler, err := keyspage.NewHandler(m, &keyspage.Options{
		Path: pagesPath, Name: "Partner API", SignIn: signInPath, SignOut: signOutPath, Limiter: l, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	p := &pages{Handler: handler, sessions: newSessions(m), secure: strings.HasPrefix(issuer, "https:")}
	p.keys, err = middleware.NewGuard(m.Verifier(), l, &middleware.Options{
		Proxies: proxies, Failures: maxFailures, Hook: hook, OmitQuota: true, WriteError: p.refuseKey,
	})
	if err != nil {
		return nil, err
	}
	p.cookies, err = middleware.NewGuard(p.sessions, l, &middleware.Options{
		Proxies: proxies, Hook: hook, OmitQuota: true, WriteError: p.refuseSession,
	})
	return p, err
}

// register registers the pages, and those on which one signs in and out.
func (p *pages) register(mux interface {
	Handle(pattern string, handler http.Handler)
},
) {
	p.Register(mux, p.signedIn)
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpjson.Refuse(w, r, p.WriteError, httpjson.Refusal{Status: http.StatusForbidden, Code: "cross_origin"})
	}))
	httpjson.Register(mux, p.WriteError,
		httpjson.Route{Pattern: "GET " + signInPath, Handler: http.HandlerFunc(p.signInForm)},
		httpjson.Route{Pattern: "POST " + signInPath, Handler: sameOrigin.Handler(p.signIn())},
		httpjson.Route{Pattern: "POST " + signOutPath, Handler: sameOrigin.Handler(http.HandlerFunc(p.signOut))},
	)
}

// asBearer returns a request whose credential is text, for a guard.
func asBearer(r *http.Request, text string) *http.Request {
	c := r.WithContext(r.Context())
	c.Header = r.Header.Clone()
	c.Header.Set("Authorization", "Bearer "+text)
	return c
}

// signedIn lets requests through whose cookie is that of a session, as those of the
// key that it was made with.
func (p *pages) signedIn(next http.Handler) http.Handler {
	guarded := p.cookies.Manage(keysManage)(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := ""
		if cookie, err := r.Cookie(cookieName); err == nil {
			id = cookie.Value
		}
		guarded.ServeHTTP(w, asBearer(r, id))
	})
}

// refuseSession redirects those who are not signed in to the form. If they have sent
// something, the page that refuses it keeps that.
func (p *pages) refuseSession(w http.ResponseWriter, r *http.Request, refusal httpjson.Refusal) {
	if refusal.Status == http.StatusUnauthorized && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		w.Header().Del("WWW-Authenticate")
		http.Redirect(w, r, signInPath+"?next="+template.URLQueryEscaper(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	p.WriteError(w, r, refusal)
}

var signInPage = template.Must(template.New("").Parse(`<h1>Sign in</h1>
<p class="kp-text">Use a key of your organization that may manage keys.</p>
<form class="kp-form" method="post" action="{{.Action}}">
<input type="hidden" name="next" value="{{.Next}}">
<div class="kp-field">
<label for="key">Key</label>
{{with .Problem}}<p class="kp-problem" id="problem" role="alert">{{.}}</p>{{end}}
<input type="password" id="key" name="key" required autocomplete="current-password" autofocus{{if .Problem}} aria-invalid="true" aria-describedby="problem"{{end}}>
</div>
<p class="kp-buttons"><button class="kp-primary">Sign in</button></p>
</form>
`))

func (p *pages) writeSignIn(w http.ResponseWriter, r *http.Request, status int, problem string) {
	var b bytes.Buffer
	_ = signInPage.Execute(&b, map[string]string{"Action": signInPath, "Next": nextPage(r), "Problem": problem}) // to memory
	p.WritePage(w, r, status, "Sign in", template.HTML(b.String()))
}

// nextPage returns the page that r wants to see when it is signed in, which is one
// of ours.
func nextPage(r *http.Request) string {
	next := r.FormValue("next")
	if bare, _, _ := strings.Cut(next, "?"); strings.HasPrefix(bare, pagesPath+"/") && path.Clean(bare) == strings.TrimSuffix(bare, "/") && !strings.ContainsAny(bare, `%\`) {
		return next
	}
	return pagesPath + "/"
}

func (p *pages) signInForm(w http.ResponseWriter, r *http.Request) {
	p.writeSignIn(w, r, http.StatusOK, "")
}

// signIn returns the handler that makes a session for a key. The guard checks the
// key, counts failures, and holds it to its networks.
func (p *pages) signIn() http.Handler {
	guarded := p.keys.Manage(keysManage)(http.HandlerFunc(p.startSession))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
		if err := r.ParseForm(); err != nil {
			p.writeSignIn(w, r, http.StatusBadRequest, "This cannot be read.")
			return
		}
		guarded.ServeHTTP(w, asBearer(r, strings.TrimSpace(r.PostForm.Get("key"))))
	})
}

func (p *pages) startSession(w http.ResponseWriter, r *http.Request) {
	who, _ := keys.FromContext(r.Context())
	id, ok := p.sessions.start(who)
	if !ok {
		p.writeSignIn(w, r, http.StatusServiceUnavailable, "Too many people are signed in. Try again later.")
		return
	}
	p.setCookie(w, id)
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, nextPage(r), http.StatusSeeOther)
}

// setCookie sets the cookie of a session, or takes it away if id is empty.
func (p *pages) setCookie(w http.ResponseWriter, id string) {
	cookie := &http.Cookie{
		Name: cookieName, Value: id, Path: pagesPath + "/", HttpOnly: true, Secure: p.secure, SameSite: http.SameSiteStrictMode,
	}
	if id == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

// refuseKey shows the form again to those whose key is refused.
func (p *pages) refuseKey(w http.ResponseWriter, r *http.Request, refusal httpjson.Refusal) {
	problem, ok := map[int]string{
		http.StatusUnauthorized:       "This key is not good: it is mistyped, unknown, paused or over.",
		http.StatusForbidden:          "This key may not manage keys, or not from your address.",
		http.StatusTooManyRequests:    "There were too many tries. Wait a minute.",
		http.StatusServiceUnavailable: "The service does not answer. Try again in a moment.",
	}[refusal.Status]
	if !ok {
		problem = "This cannot be read."
	}
	p.writeSignIn(w, r, refusal.Status, problem)
}

func (p *pages) signOut(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		p.sessions.end(cookie.Value)
	}
	p.setCookie(w, "")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Clear-Site-Data", `"cache"`)
	http.Redirect(w, r, signInPath, http.StatusSeeOther)
}
