package keyspage

import (
	"errors"
	"net/http"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/scopes"
)

func isNotFound(err error) bool { return errors.Is(err, keys.ErrNotFound) }

// invalids are the problems for the fields of a [keys.InvalidError].
var invalids = map[string]problem{
	keys.FieldLabel:       {fieldLabel, n("Enter at most 256 characters of text.")},
	keys.FieldScopes:      {fieldScopes, n("Choose fewer scopes.")},
	keys.FieldRateLimit:   {fieldLimit, n("Enter a whole number, 1 or more.")},
	keys.FieldEnvironment: {fieldEnvironment, n("Choose one of these.")},
	keys.FieldNetworks:    {fieldNetworks, n("Enter one network or address on each line, such as 203.0.113.0/24, and at most 100.")},
	keys.FieldMetadata:    {fieldMetadata, n("Enter a JSON object of at most 4,096 bytes, such as {\"team\": \"billing\"}.")},
	keys.FieldLifetime:    {fieldExpires, n("Choose one of these.")},
	keys.FieldTime:        {fieldUntil, n("Choose a day from today on, within the next ten years.")},
	keys.FieldOverlap:     {fieldOverlap, n("Choose one of these.")},
}

// beyonds are the problems for the fields of a [keys.BeyondError].
var beyonds = map[string]problem{
	keys.FieldScopes:      {fieldScopes, n("You do not have all of these scopes yourself.")},
	keys.FieldRateLimit:   {fieldLimit, n("This is more than your own limit.")},
	keys.FieldEnvironment: {fieldEnvironment, n("You can only use your own environment.")},
	keys.FieldNetworks:    {fieldNetworks, n("You can only use networks within your own.")},
	keys.FieldLifetime:    {fieldExpires, n("Your own credential ends earlier.")},
}

// states say why something cannot be done to a credential now.
var states = []struct {
	err  error
	text string
}{
	{keys.ErrRevoked, n("It was revoked in the meantime.")},
	{keys.ErrExpired, n("It has expired. Create another one in its place.")},
	{keys.ErrPaused, n("It is paused. Resume it first.")},
	{keys.ErrReplaced, n("Its end cannot be changed, since it was replaced by another key.")},
	{keys.ErrConflict, n("It was changed in the meantime. Look at it again.")},
	{keys.ErrLimitReached, n("Your organization has as many as it may have. End one that is no longer needed.")},
}

// fieldNames are the names of the fields that can have a problem.
var fieldNames = map[string]string{
	fieldLabel: n("Name"), fieldScopes: n("Scopes"), fieldEnvironment: n("Environment"), fieldExpires: n("Expires"), fieldUntil: n("Last day, in UTC"),
	fieldLimit: n("Requests a minute"), fieldNetworks: n("Networks"), fieldMetadata: n("Metadata"), fieldOverlap: n("Overlap"),
}

// FieldName returns the name of the field that has a problem.
func (t texts) FieldName(p problem) string { return t.T(fieldNames[p.Field]) }

// problemOf returns what is wrong with a form whose action failed, and the status of the
// answer. It reports false for errors that are not about the form: the store failed, or
// the reader's own credential has ended.
func (t texts) problemOf(err error) (p problem, status int, ok bool) {
	status = httpjson.RefusalOf(err).Status
	var grant *scopes.GrantError
	var more *keys.BeyondError
	var invalid *keys.InvalidError
	switch {
	case errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrCallerEnded):
		return problem{}, status, false
	case errors.As(err, &grant):
		names := strings.Join(append(grant.Unknown, grant.Reserved...), ", ")
		return problem{fieldScopes, t.T("These scopes cannot be granted: %s", names)}, status, true
	case errors.As(err, &more):
		p, ok = beyonds[more.Field]
	case errors.As(err, &invalid):
		if p, ok = invalids[invalid.Field]; ok {
			status = http.StatusUnprocessableEntity
		}
	default:
		for _, s := range states {
			if errors.Is(err, s.err) {
				return problem{"", t.T(s.text)}, status, true
			}
		}
	}
	p.Text = t.T(p.Text)
	return p, status, ok
}
