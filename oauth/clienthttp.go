package oauth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
)

// maxOverlap bounds the overlap of a rotation, in seconds: ten years of 365
// days. defaultOverlap is a day.
const (
	maxOverlap     = 10 * 365 * 24 * 60 * 60
	defaultOverlap = 24 * time.Hour
)

// A clientBody describes a client.
type clientBody struct {
	ClientID     string   `json:"clientId"`
	ClientSecret string   `json:"clientSecret,omitempty"`
	CompanyID    string   `json:"companyId,omitempty"`
	Name         string   `json:"name,omitempty"`
	Scopes       []string `json:"scopes,omitempty"`
	CreatedAt    string   `json:"createdAt"`
}

func createdAt(rec *keys.Record) string { return rec.CreatedAt.UTC().Format(keyshttp.TimeFormat) }

// CreateClient makes a client. The body, which may be missing, is
// {"name"?: text, "scopes"?: [names]}; without scopes the client has those of
// the caller. The answer is 201, and the only one that shows the secret:
//
//	{"clientId", "clientSecret", "companyId", "createdAt"}
//
// with the name and the scopes if the request had them.
func (h *Handler) CreateClient(w http.ResponseWriter, r *http.Request) {
	by, ok := h.caller(w, r)
	if !ok {
		return
	}
	var name *string
	var names *[]string
	if err := keyshttp.ReadJSON(w, r, maxBody, keyshttp.Optional("name", &name), keyshttp.Optional("scopes", &names)); err != nil {
		keyshttp.WriteError(w, err)
		return
	}
	var spec ClientSpec
	if name != nil {
		spec.Name = *name
	}
	if names != nil {
		spec.Scopes = append([]string{}, *names...)
	}
	issued, err := h.server.Register(r.Context(), by, spec)
	if err == nil {
		err = h.takeBack(r.Context(), by, issued)
	}
	if err != nil {
		h.failClient(w, r, err)
		return
	}
	body := clientBody{
		ClientID: issued.Record.ID, ClientSecret: issued.Text.Reveal(), CompanyID: issued.Record.Org,
		Name: issued.Record.Label, CreatedAt: createdAt(&issued.Record),
	}
	if names != nil {
		body.Scopes = issued.Record.Scopes.Names()
	}
	w.Header().Set("Location", r.URL.EscapedPath()+"/"+issued.Record.ID)
	writeSecret(w, http.StatusCreated, body)
}

// takeBack deletes a new client whose maker's credential has ended meanwhile.
func (h *Handler) takeBack(ctx context.Context, by keys.Principal, issued keys.Issued) error {
	err := keyshttp.Recheck(ctx, h.server.manager, by)
	if err != nil {
		err = errors.Join(err, h.server.Delete(context.WithoutCancel(ctx), by.Org, issued.Record.ID))
	}
	return err
}

// ListClients lists the clients of the caller's organization: {"clients": [{
// "clientId", "name"?, "createdAt"}], "next_cursor"?}. The query parameters are
// those of keyshttp's List: limit, from 1 to 200, and cursor.
func (h *Handler) ListClients(w http.ResponseWriter, r *http.Request) {
	by, ok := h.caller(w, r)
	if !ok {
		return
	}
	page, err := keyshttp.ReadPage(r)
	if err != nil {
		keyshttp.WriteError(w, err)
		return
	}
	list := struct {
		Clients    []clientBody `json:"clients"`
		NextCursor string       `json:"next_cursor,omitempty"`
	}{Clients: []clientBody{}}
	last := ""
	for rec, err := range h.server.Clients(r.Context(), by.Org, page.After) {
		if err != nil {
			h.failClient(w, r, err)
			return
		}
		if len(list.Clients) == page.Limit {
			list.NextCursor = keyshttp.Cursor(last)
			break
		}
		last = rec.ID
		list.Clients = append(list.Clients, clientBody{ClientID: rec.ID, Name: rec.Label, CreatedAt: createdAt(&rec)})
	}
	keyshttp.WriteJSON(w, http.StatusOK, list)
}

// GetClient shows a client: {"clientId", "companyId", "name"?, "scopes",
// "createdAt"}.
func (h *Handler) GetClient(w http.ResponseWriter, r *http.Request) {
	by, ok := h.caller(w, r)
	if !ok {
		return
	}
	rec, err := h.server.Client(r.Context(), by.Org, r.PathValue("id"))
	if err != nil {
		h.failClient(w, r, err)
		return
	}
	keyshttp.WriteJSON(w, http.StatusOK, clientBody{
		ClientID: rec.ID, CompanyID: rec.Org, Name: rec.Label, Scopes: rec.Scopes.Names(), CreatedAt: createdAt(&rec),
	})
}

// DeleteClient ends a client and its tokens, for ever: 204, and 204 again.
func (h *Handler) DeleteClient(w http.ResponseWriter, r *http.Request) {
	by, ok := h.caller(w, r)
	if !ok {
		return
	}
	if err := h.server.Delete(r.Context(), by.Org, r.PathValue("id")); err != nil {
		h.failClient(w, r, err)
		return
	}
	w.Header()["Cache-Control"] = noStore
	w.WriteHeader(http.StatusNoContent)
}

// RotateSecret gives a client a new secret. The body, which may be missing, is
// {"overlap"?: seconds}: how long the old secret stays good, a day if nothing is
// said, and not at all if it is 0. The answer is that of CreateClient with
// status 200.
func (h *Handler) RotateSecret(w http.ResponseWriter, r *http.Request) {
	by, ok := h.caller(w, r)
	if !ok {
		return
	}
	var seconds *int64
	if err := keyshttp.ReadJSON(w, r, maxBody, keyshttp.Optional("overlap", &seconds)); err != nil {
		keyshttp.WriteError(w, err)
		return
	}
	overlap := defaultOverlap
	if seconds != nil {
		if *seconds < 0 || *seconds > maxOverlap {
			keyshttp.WriteError(w, &keyshttp.Error{
				Status: http.StatusUnprocessableEntity, Code: "invalid_value",
				Description: "overlap is not from 0 to 315360000 seconds",
			})
			return
		}
		overlap = time.Duration(*seconds) * time.Second
	}
	if err := keyshttp.Recheck(r.Context(), h.server.manager, by); err != nil {
		h.failClient(w, r, err)
		return
	}
	issued, err := h.server.RotateSecret(r.Context(), by, r.PathValue("id"), overlap)
	if err != nil {
		h.failClient(w, r, err)
		return
	}
	writeSecret(w, http.StatusOK, clientBody{
		ClientID: issued.Record.ID, ClientSecret: issued.Text.Reveal(), CompanyID: issued.Record.Org,
		Name: issued.Record.Label, CreatedAt: createdAt(&issued.Record),
	})
}

func writeSecret(w http.ResponseWriter, status int, body clientBody) {
	w.Header()["Pragma"] = noCache
	keyshttp.WriteJSON(w, status, body)
}

// caller returns the principal of a request, or answers 401: the request came
// along a way that is not protected.
func (h *Handler) caller(w http.ResponseWriter, r *http.Request) (keys.Principal, bool) {
	p, ok := keys.FromContext(r.Context())
	if !ok || p.Org == "" {
		keyshttp.WriteError(w, &keyshttp.Error{Status: http.StatusUnauthorized, Code: "unauthorized", Description: "the request has no principal"})
		return keys.Principal{}, false
	}
	return p, true
}

// failClient answers a request about clients with an error.
func (h *Handler) failClient(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, ErrEscalation) {
		err = &keyshttp.Error{Status: http.StatusForbidden, Code: "insufficient_scope", Description: "the client would have more than the caller has"}
	}
	if keyshttp.WriteError(w, err) == http.StatusServiceUnavailable {
		h.logger.LogAttrs(r.Context(), slog.LevelError, "managing clients failed", slog.String("route", r.Pattern), slog.Any("error", err))
	}
}
