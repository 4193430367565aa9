package scopes_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/scopes"
	"github.com/google/go-cmp/cmp"
)

var partner = scopes.MustCatalog(
	scopes.Scope{Name: "webhooks:manage", Description: "Manage webhook subscriptions"},
	scopes.Scope{Name: "identity:read", Description: "Read the credential's own identity", Status: scopes.Always},
	scopes.Scope{Name: "leads:write", Status: scopes.Reserved},
	scopes.Scope{Name: "leads:read", Status: scopes.Reserved},
)

func TestGrant(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		ask  []string
		want string
		err  *scopes.GrantError
	}{
		{name: "nothing", want: "identity:read"},
		{name: "an available one", ask: []string{"webhooks:manage"}, want: "identity:read webhooks:manage"},
		{name: "the granted one", ask: []string{"identity:read"}, want: "identity:read"},
		{name: "twice the same", ask: []string{"webhooks:manage", "webhooks:manage"}, want: "identity:read webhooks:manage"},
		{name: "a reserved one", ask: []string{"webhooks:manage", "leads:read"}, err: &scopes.GrantError{Reserved: []string{"leads:read"}}},
		{name: "an unknown one", ask: []string{"nope"}, err: &scopes.GrantError{Unknown: []string{"nope"}}},
		{
			name: "both, repeated, out of order", ask: []string{"z", "leads:write", "a", "leads:read", "a", "leads:read"},
			err: &scopes.GrantError{Reserved: []string{"leads:read", "leads:write"}, Unknown: []string{"a", "z"}},
		},
		{
			name: "no scope tokens", ask: []string{"", "a b", "Leads:read", "identity:read webhooks:manage"},
			err: &scopes.GrantError{Unknown: []string{"", "Leads:read", "a b", "identity:read webhooks:manage"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := partner.Grant(tt.ask...)
			var refused *scopes.GrantError
			errors.As(err, &refused)
			if diff := cmp.Diff(tt.err, refused); diff != "" || got.String() != tt.want {
				t.Errorf("Grant = %q, %v\n%s", got, err, diff)
			}
			if err != nil && !errors.Is(err, scopes.ErrGrant) {
				t.Errorf("%v is not ErrGrant", err)
			}
		})
	}
}

func TestGrantErrorDoesNotQuote(t *testing.T) {
	t.Parallel()
	if _, err := partner.Grant("leads:read", "hunter2"); strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error quotes its input: %v", err)
	}
}

func TestCatalogLists(t *testing.T) {
	t.Parallel()
	if got := partner.Grantable().String(); got != "identity:read webhooks:manage" {
		t.Errorf("Grantable = %q", got)
	}
	if got := partner.Always().String(); got != "identity:read" {
		t.Errorf("Always = %q", got)
	}
	if got := partner.Reserved().String(); got != "leads:read leads:write" {
		t.Errorf("Reserved = %q", got)
	}
	list := partner.Scopes()
	if len(list) != 4 || list[0].Name != "identity:read" || list[0].Status.String() != "always" ||
		list[3].Description != "Manage webhook subscriptions" {
		t.Errorf("Scopes = %v", list)
	}
	list[0].Name = "changed"
	if partner.Scopes()[0].Name != "identity:read" {
		t.Error("the catalog shares its list")
	}
}

func TestCatalogKeepsNoArgument(t *testing.T) {
	t.Parallel()
	list := []scopes.Scope{{Name: "b"}, {Name: "a"}}
	c, err := scopes.NewCatalog(list...)
	if err != nil || list[0].Name != "b" {
		t.Fatalf("NewCatalog sorted its argument: %v, %v", list, err)
	}
	names := []string{"b", "a"}
	if _, err := c.Grant(names...); err != nil || names[0] != "b" {
		t.Errorf("Grant sorted its argument: %q, %v", names, err)
	}
}

func TestNilCatalogGrantsNothing(t *testing.T) {
	t.Parallel()
	var c *scopes.Catalog
	if s, err := c.Grant(); err != nil || !s.IsEmpty() {
		t.Errorf("Grant() = %q, %v", s, err)
	}
	if _, err := c.Grant("a"); !errors.Is(err, scopes.ErrGrant) {
		t.Errorf("Grant(a): %v", err)
	}
	if c.Scopes() != nil {
		t.Error("a nil catalog lists scopes")
	}
}

func TestNewCatalogRefuses(t *testing.T) {
	t.Parallel()
	for name, list := range map[string][]scopes.Scope{
		"malformed":      {{Name: "a b"}},
		"empty":          {{}},
		"twice":          {{Name: "a"}, {Name: "a", Status: scopes.Reserved}},
		"unknown status": {{Name: "a", Status: 7}},
	} {
		_, err := scopes.NewCatalog(list...)
		if malformed := name == "malformed" || name == "empty"; err == nil || errors.Is(err, scopes.ErrSyntax) != malformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMustCatalogPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	scopes.MustCatalog(scopes.Scope{Name: "a b"})
}
