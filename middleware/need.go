package middleware

import (
	"fmt"
	"slices"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// A Need is what a request must have and pay. The zero Need is met by any good
// credential, and costs one request of the quota.
type Need struct {
	// All are scopes that the credential must hold, each of them.
	All []string

	// Any are scopes of which the credential must hold at least one, besides
	// All. If empty, All is enough.
	Any []string

	// Cost is what the request takes from the quota. If zero, 1. A cost above the
	// burst of the limit counts as the burst. It must not be negative.
	Cost int

	// Manage takes the cost from the bucket for management, as [Guard.Manage] does.
	Manage bool
}

// met reports whether a credential holds the scopes that it needs. A name that is
// no scope token is a scope that nobody holds.
func (n *Need) met(p *keys.Principal) bool {
	for _, name := range n.All {
		if !p.Scopes.Contains(name) {
			return false
		}
	}
	return len(n.Any) == 0 || slices.ContainsFunc(n.Any, p.Scopes.Contains)
}

// scope returns the names of the scopes with spaces between them, for challenges
// (RFC 6750 §3). It returns "" if one of them is no scope token: the text could
// break out of its quotes.
func (n *Need) scope() string {
	if len(n.All) == 1 && len(n.Any) == 0 && scopes.Valid(n.All[0]) { // without a copy
		return n.All[0]
	}
	names := slices.Concat(n.All, n.Any)
	for _, name := range names {
		if !scopes.Valid(name) {
			return ""
		}
	}
	return strings.Join(names, " ")
}

// A rule is what a guard does on a route.
type rule struct {
	need  Need
	scope string // need.scope(), if it is known already
}

// newRule returns the rule for a Need. It panics if the need has a name that is no
// scope token, or a negative cost.
func newRule(n Need) *rule {
	n.All, n.Any = slices.Clone(n.All), slices.Clone(n.Any)
	for _, name := range slices.Concat(n.All, n.Any) {
		if !scopes.Valid(name) {
			panic(fmt.Sprintf("middleware: %q is not a scope token", name))
		}
	}
	if n.Cost < 0 {
		panic("middleware: a cost is negative")
	}
	return &rule{need: n, scope: n.scope()}
}
