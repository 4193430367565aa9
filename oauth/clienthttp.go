package oauth

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
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
	Scopes       []string `json:"scopes,omitzero"` // nil if they are not shown
	CreatedAt    string   `json:"createdAt"`
	CreatedBy    string   `json:"createdBy,omitempty"`
	Environment  string   `json:"environment,omitempty"`
	ExpiresAt    string   `json:"expiresAt,omitempty"`
	DisabledAt   string   `json:"disabledAt,omitempty"`
}

// log logs an error that is not the caller's fault.
func (h *Handler) log(r *http.Request, err error) {
	h.logger.LogAttrs(r.Context(), slog.LevelError, "managing clients failed", slog.String("route", r.Pattern), slog.Any("error", err))
}

// beyond returns the refusal for keys.ErrBeyond, and other errors as they are.
func beyond(err error) error {
	if !errors.Is(err, keys.ErrBeyond) {
		return err
	}
	return &httpjson.Refusal{
		Status: http.StatusForbidden, Code: "insufficient_scope",
		Description: "the client would have more than the caller has", Err: err,
	}
}

// createClient makes a client.
func (h *Handler) createClient(w http.ResponseWriter, r *http.Request, by keys.Principal) error {
	var name *string
	var names *[]string
	if _, err := httpjson.ReadQuery(r); err != nil {
		return err
	}
	if err := httpjson.Read(w, r, maxBody, httpjson.Optional("name", &name), httpjson.Optional("scopes", &names)); err != nil {
		return err
	}
	var spec ClientSpec
	if name != nil {
		spec.Name = *name
	}
	if names != nil {
		spec.Scopes = *names // an empty list is not nil, which would be the caller's
	}
	issued, err := h.server.Register(r.Context(), by, spec)
	if err != nil {
		return beyond(err)
	}
	body := issuedBody(&issued)
	if names != nil {
		body.Scopes = issued.Record.Scopes.Names()
	}
	w.Header().Set("Location", r.URL.EscapedPath()+"/"+issued.Record.ID)
	writeSecret(w, http.StatusCreated, body)
	return nil
}

// issuedBody describes a client with its new secret.
func issuedBody(issued *keys.Issued) clientBody {
	return clientBody{
		ClientID: issued.Record.ID, ClientSecret: issued.Text.Reveal(), CompanyID: issued.Record.Org,
		Name: issued.Record.Label, CreatedAt: httpjson.Timestamp(issued.Record.CreatedAt),
	}
}

func writeSecret(w http.ResponseWriter, status int, body clientBody) {
	w.Header().Set("Pragma", "no-cache")
	httpjson.Write(w, status, body)
}

// listClients lists clients. Those that were deleted are in no list, so there is no
// parameter include.
func (h *Handler) listClients(w http.ResponseWriter, r *http.Request, by keys.Principal) error {
	if _, err := httpjson.ReadQuery(r, "limit", "cursor"); err != nil {
		return err
	}
	page, err := httpjson.ReadPage(r)
	if err != nil {
		return err
	}
	list := struct {
		Clients    []clientBody `json:"clients"`
		NextCursor string       `json:"next_cursor,omitempty"`
	}{Clients: []clientBody{}}
	for rec, err := range h.server.Clients(r.Context(), by.Org, page.After, page.Limit+1) {
		if err != nil {
			return err
		}
		if len(list.Clients) == page.Limit {
			list.NextCursor = httpjson.Cursor(list.Clients[page.Limit-1].ClientID)
			break
		}
		list.Clients = append(list.Clients, clientBody{ClientID: rec.ID, Name: rec.Label, CreatedAt: httpjson.Timestamp(rec.CreatedAt)})
	}
	httpjson.Write(w, http.StatusOK, list)
	return nil
}

// getClient shows a client.
func (h *Handler) getClient(w http.ResponseWriter, r *http.Request, by keys.Principal) error {
	if _, err := httpjson.ReadQuery(r); err != nil {
		return err
	}
	rec, err := h.server.Client(r.Context(), by.Org, r.PathValue("id"))
	if err != nil {
		return err
	}
	httpjson.Write(w, http.StatusOK, clientBody{
		ClientID: rec.ID, CompanyID: rec.Org, Name: rec.Label, Scopes: rec.Scopes.Names(),
		CreatedAt: httpjson.Timestamp(rec.CreatedAt), CreatedBy: rec.CreatedBy, Environment: rec.Environment,
		ExpiresAt: httpjson.Timestamp(rec.ExpiresAt), DisabledAt: httpjson.Timestamp(rec.DisabledAt),
	})
	return nil
}

// deleteClient ends a client, and on request all that it made.
func (h *Handler) deleteClient(w http.ResponseWriter, r *http.Request, by keys.Principal) error {
	descendants, err := httpjson.ReadBool(r, "descendants")
	if err != nil {
		return err
	}
	if descendants {
		_, err = h.server.manager.As(by).RevokeDescendants(r.Context(), keys.KindClient, r.PathValue("id"))
	} else {
		err = h.server.Delete(r.Context(), by, r.PathValue("id"))
	}
	if err != nil {
		return err
	}
	httpjson.WriteNothing(w)
	return nil
}

// rotateSecret gives a client a new secret.
func (h *Handler) rotateSecret(w http.ResponseWriter, r *http.Request, by keys.Principal) error {
	var seconds *int64
	if _, err := httpjson.ReadQuery(r); err != nil {
		return err
	}
	if err := httpjson.Read(w, r, maxBody, httpjson.Optional("overlap", &seconds)); err != nil {
		return err
	}
	overlap := defaultOverlap
	if seconds != nil {
		if *seconds < 0 || *seconds > maxOverlap {
			return &httpjson.Refusal{
				Status: http.StatusUnprocessableEntity, Code: "invalid_value",
				Description: "overlap is not from 0 to 315360000 seconds",
			}
		}
		overlap = time.Duration(*seconds) * time.Second
	}
	issued, err := h.server.RotateSecret(r.Context(), by, r.PathValue("id"), overlap)
	if errors.Is(err, keys.ErrUnsettled) && issued.Text.Len() > 0 {
		// The new secret is good, and cannot be shown again.
		h.logger.LogAttrs(r.Context(), slog.LevelError, "rotation is not yet everywhere", slog.String("id", issued.Record.ID), slog.Any("error", err))
		err = nil
	}
	if err != nil {
		return beyond(err)
	}
	writeSecret(w, http.StatusOK, issuedBody(&issued))
	return nil
}
