package leaks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
)

// DefaultMaxBody is the default bound on the length of a report, in bytes. It is enough
// for some thousands of credentials.
const DefaultMaxBody = 1 << 20

// maxIdentifier bounds the identifiers of public keys. GitHub's have 64 characters.
const maxIdentifier = 128

// Options are the settings of a [Handler].
type Options struct {
	// MaxBody is how long a report may be, in bytes. If zero, DefaultMaxBody. It
	// must not be negative.
	MaxBody int64

	// Hook receives keys.Leaked for each credential that was found, after the
	// policy was called. If nil, these events are dropped.
	Hook keys.Hook

	// Logger logs the errors behind answers of 503 at level Error, and reports that
	// GitHub has not signed at level Warn. No line has a credential in it. If nil,
	// nothing is logged.
	Logger *slog.Logger
}

// A Handler is the endpoint to which GitHub reports credentials. It needs no guard,
// since it checks a signature. It is safe for concurrent use.
type Handler struct {
	verifier *keys.Verifier
	key      KeyFunc
	policy   Policy
	maxBody  int64
	hook     keys.Hook
	logger   *slog.Logger
}

// NewHandler returns a Handler that checks credentials with v, gets GitHub's public keys
// from key, and calls policy for each credential that was found. With a nil policy, only
// the hook is called. A nil opts is the zero Options. The error says what is missing or
// wrong.
func NewHandler(v *keys.Verifier, key KeyFunc, policy Policy, opts *Options) (*Handler, error) {
	if v == nil || key == nil {
		return nil, errors.New("leaks: NewHandler needs a verifier and public keys")
	}
	if opts == nil {
		opts = new(Options)
	}
	if opts.MaxBody < 0 {
		return nil, errors.New("leaks: MaxBody is negative")
	}
	h := &Handler{verifier: v, key: key, policy: policy, maxBody: opts.MaxBody, hook: opts.Hook, logger: opts.Logger}
	if h.policy == nil {
		h.policy = func(context.Context, Finding) error { return nil }
	}
	if h.maxBody == 0 {
		h.maxBody = DefaultMaxBody
	}
	if h.logger == nil {
		h.logger = slog.New(slog.DiscardHandler)
	}
	return h, nil
}

// A match is a credential in a report.
type match struct {
	Token  string `json:"token"`
	Type   string `json:"type"`
	URL    string `json:"url"`
	Source string `json:"source"`
}

// A label is what the answer says about a match.
type label struct {
	TokenHash string `json:"token_hash"`
	TokenType string `json:"token_type"`
	Label     string `json:"label"`
}

// ServeHTTP answers a report, as the package comment says.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		httpjson.Refuse(w, r, nil, httpjson.Refusal{
			Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Description: "this path has other methods, see Allow",
		})
		return
	}
	matches, err := h.read(w, r)
	if err == nil {
		var labels []label
		if labels, err = h.act(r.Context(), matches); err == nil {
			httpjson.Write(w, http.StatusOK, labels)
			return
		}
	}
	status := httpjson.Refuse(w, r, nil, httpjson.RefusalOf(err))
	switch status {
	case http.StatusServiceUnavailable:
		h.logger.LogAttrs(r.Context(), slog.LevelError, "a report of leaks failed", slog.Any("error", err))
	case http.StatusForbidden:
		h.logger.LogAttrs(r.Context(), slog.LevelWarn, "a report of leaks is not signed", slog.String("from", r.RemoteAddr))
	}
}

// errSignature refuses what GitHub has not signed.
var errSignature = &httpjson.Refusal{
	Status: http.StatusForbidden, Code: "invalid_signature", Description: "the body is not signed by a known key",
}

// read reads a report and checks its signature.
func (h *Handler) read(w http.ResponseWriter, r *http.Request) ([]match, error) {
	ids, signatures := r.Header["Github-Public-Key-Identifier"], r.Header["Github-Public-Key-Signature"]
	if len(ids) != 1 || len(signatures) != 1 || len(ids[0]) > maxIdentifier {
		return nil, errSignature
	}
	key, err := h.key(r.Context(), ids[0])
	if errors.Is(err, ErrUnknownKey) {
		return nil, errSignature
	}
	if err != nil {
		return nil, unavailable(err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, &httpjson.Refusal{Status: http.StatusRequestEntityTooLarge, Code: "payload_too_large", Description: "the body is too large"}
	}
	if err != nil {
		return nil, invalid("the body cannot be read")
	}
	if !signed(key, body, signatures[0]) {
		return nil, errSignature
	}
	var matches []match
	if err := json.Unmarshal(body, &matches); err != nil || matches == nil {
		return nil, invalid("the body is not a list of matches")
	}
	return matches, nil
}

func invalid(description string) error {
	return &httpjson.Refusal{Status: http.StatusBadRequest, Code: "invalid_request", Description: description}
}

// unavailable returns the refusal of a report that can be sent again.
func unavailable(err error) error {
	return &httpjson.Refusal{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: "the report cannot be acted on now, send it again", Err: err,
	}
}

// act applies the policy to each match that is a credential. It goes on if the policy
// fails for one of them, so that the others are still ended. It stops if the store
// cannot answer, since then each of the others would wait for the store in vain.
func (h *Handler) act(ctx context.Context, matches []match) ([]label, error) {
	labels := make([]label, len(matches)) // never null
	var failed error
	for i := range matches {
		m := &matches[i]
		found, err := h.find(ctx, m)
		if found != nil {
			err = h.apply(ctx, found)
		}
		if errors.Is(err, keys.ErrUnavailable) || ctx.Err() != nil {
			return nil, unavailable(errors.Join(failed, err, ctx.Err()))
		}
		failed = errors.Join(failed, err)
		labels[i] = label{hash(m.Token), m.Type, "false_positive"}
		if found != nil {
			labels[i].Label = "true_positive"
		}
	}
	if failed != nil {
		return nil, unavailable(failed)
	}
	return labels, nil
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// find returns the credential of a match, or nil if it is none.
func (h *Handler) find(ctx context.Context, m *match) (*Finding, error) {
	_, claim, err := h.verifier.InspectClaim(ctx, m.Token, time.Now())
	switch err {
	case keys.ErrMalformed, keys.ErrUnknown, keys.ErrMismatch:
		return nil, nil
	case nil, keys.ErrExpired, keys.ErrRevoked, keys.ErrPaused:
		return &Finding{
			Org: claim.Org, ID: claim.ID, Kind: claim.Kind, ReplacedBy: claim.ReplacedBy, Err: err,
			Type: m.Type, URL: m.URL, Source: m.Source,
		}, nil
	}
	return nil, err
}

// apply calls the policy and then the hook.
func (h *Handler) apply(ctx context.Context, f *Finding) error {
	ctx = keys.NewContext(ctx, keys.Principal{Org: f.Org, ID: Reporter})
	err := h.policy(ctx, *f)
	if h.hook != nil {
		h.hook(ctx, keys.Event{
			Type: keys.Leaked, Time: time.Now(), Org: f.Org, ID: f.ID, Kind: f.Kind,
			Reason: keys.Reason(f.Err), ReplacedBy: f.ReplacedBy, Err: err,
		})
	}
	return err
}
