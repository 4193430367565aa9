package keyspage

import (
	"errors"
	"html/template"
	"log/slog"
	"net/http"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/ratelimit"
)

// A Handler serves the pages on which an organization manages its keys and clients. It
// acts for the principal in the request's context (see [keys.FromContext]). A request
// without a principal, or whose principal has no organization, is answered 401. A Handler
// does not check whether the principal may manage credentials at all. Handlers are made
// by [NewHandler], and are safe for concurrent use.
type Handler struct {
	manager *keys.Manager
	opts    Options
	once    once
	origin  *http.CrossOriginProtection
	head    template.HTML
	logger  *slog.Logger
}

// NewHandler returns a Handler over a Manager. A nil opts is the zero Options.
// The error says what is missing or wrong.
func NewHandler(m *keys.Manager, opts *Options) (*Handler, error) {
	if m == nil {
		return nil, errors.New("keyspage: NewHandler needs a manager")
	}
	h := &Handler{manager: m, origin: http.NewCrossOriginProtection()}
	if opts != nil {
		h.opts = *opts
	}
	if h.opts.Path == "" {
		h.opts.Path = defaultPath
	}
	if err := checkPath(h.opts.Path); err != nil {
		return nil, err
	}
	if h.opts.Name == "" {
		h.opts.Name = n("API access")
	}
	if h.opts.Text == nil {
		h.opts.Text = english
	}
	if h.opts.Layout == nil {
		h.opts.Layout = h.layout
	}
	if h.logger = h.opts.Logger; h.logger == nil {
		h.logger = slog.New(slog.DiscardHandler)
	}
	limiter := h.opts.Limiter
	if limiter == nil {
		var err error
		if limiter, err = ratelimit.NewLimiter(new(ratelimit.Memory), nil); err != nil {
			return nil, err
		}
	}
	var err error
	if h.once.limiter, err = limiter.In("page"); err != nil {
		return nil, err
	}
	h.origin.SetDenyHandler(http.HandlerFunc(h.refuseOrigin))
	h.head, err = h.headOf()
	return h, err
}

// Register registers the pages with mux, which is a [http.ServeMux] or takes the same
// patterns. The pages are behind protect. It puts the principal into the context of a
// request, and decides whether the principal may manage credentials. If protect lets a
// request through without a principal, the answer is 401, with a page that keeps what was
// typed into a form. If protect refuses requests itself, it should answer with
// [Handler.WriteError], which does the same.
//
// The stylesheet, the script and the icon are not behind protect. Requests that another
// site makes a browser send are refused before protect is called, see
// [http.CrossOriginProtection].
//
// Register panics if protect is nil, or as [http.ServeMux.Handle] does.
func (h *Handler) Register(mux interface {
	Handle(pattern string, handler http.Handler)
}, protect func(http.Handler) http.Handler,
) {
	if protect == nil {
		panic("keyspage: Register without protection")
	}
	route := func(pattern string, do action) httpjson.Route {
		return httpjson.Route{Pattern: pattern, Handler: h.origin.Handler(protect(httpjson.Manage(do, h.WriteError, h.log)))}
	}
	path := h.opts.Path
	routes := []httpjson.Route{
		{Pattern: "GET " + path + "/assets/{file}", Handler: http.HandlerFunc(h.asset)},
		route("GET "+path+"/{$}", h.home),
		route("GET "+path+"/find/{id}", h.find),
	}
	for _, s := range sections {
		at := path + "/" + s.path
		routes = append(
			routes,
			route("GET "+at, h.list(s)),
			route("POST "+h.searchURL(s), h.search(s)),
			route("GET "+h.newURL(s), h.newForm(s)),
			route("POST "+h.newURL(s), h.create(s)),
			route("GET "+at+"/{id}", h.show(s)),
			route("GET "+at+"/{id}/edit", h.editForm(s)),
			route("POST "+at+"/{id}/edit", h.edit(s)),
			route("POST "+at+"/{id}/pause", h.pause(s, true)),
			route("POST "+at+"/{id}/resume", h.pause(s, false)),
			route("GET "+at+"/{id}/rotate", h.rotateForm(s)),
			route("POST "+at+"/{id}/rotate", h.rotate(s)),
			route("GET "+at+"/{id}/revoke", h.revokeForm(s)),
			route("POST "+at+"/{id}/revoke", h.revoke(s)),
		)
	}
	httpjson.Register(mux, h.WriteError, routes...)
	mux.Handle(path+"/", httpjson.NotFound(h.WriteError))
}

// An action answers a request of a principal.
type action = httpjson.Action

// log logs a failure of the service. It logs nothing if the client has gone, since then
// the client may have caused the error.
func (h *Handler) log(r *http.Request, err error) {
	if httpjson.ClientGone(r.Context()) {
		return
	}
	p, _ := keys.FromContext(r.Context())
	h.logger.LogAttrs(r.Context(), slog.LevelError, "the page about credentials failed",
		slog.String("route", r.Pattern), slog.Any("principal", p), slog.Any("error", err))
}

// home redirects to the list of keys.
func (h *Handler) home(w http.ResponseWriter, r *http.Request, _ keys.Principal) error {
	h.redirect(w, r, h.opts.Path+"/"+sections[0].path)
	return nil
}

// find redirects to the page about the credential with an ID, whatever its kind.
func (h *Handler) find(w http.ResponseWriter, r *http.Request, p keys.Principal) error {
	rec, err := h.manager.Get(r.Context(), p.Org, "", r.PathValue("id"))
	if err != nil {
		return err
	}
	for _, s := range sections {
		if s.kind == rec.Kind {
			h.redirect(w, r, h.at(s, rec.ID))
			return nil
		}
	}
	return keys.ErrNotFound
}

// redirect answers with a redirection to another page, which browsers follow with GET.
func (h *Handler) redirect(w http.ResponseWriter, r *http.Request, to string) {
	setHeader(w.Header())
	http.Redirect(w, r, to, http.StatusSeeOther)
}
