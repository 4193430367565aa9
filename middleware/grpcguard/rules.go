package grpcguard

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/scopes"
	"google.golang.org/grpc"
)

// Rules say for each method what a call of it needs. The keys are full names of
// methods, such as "/shop.v1.Orders/List". Generated code has them as constants, such
// as shop.Orders_List_FullMethodName.
type Rules map[string]Rule

// A Rule is what a call of a method needs. [New] refuses the zero Rule.
type Rule struct {
	access access
	need   middleware.Need
}

// access says who may call a method.
type access uint8

const (
	unset access = iota
	guarded
	public
)

// Require is the rule for methods that need a credential with all scopes that are
// named.
func Require(first string, more ...string) Rule {
	return Rule{guarded, middleware.Need{All: names(first, more)}}
}

// RequireAny is like [Require], but one of the scopes is enough.
func RequireAny(first string, more ...string) Rule {
	return Rule{guarded, middleware.Need{Any: names(first, more)}}
}

// Authenticated is the rule for methods that need a good credential with any scopes.
func Authenticated() Rule { return Rule{access: guarded} }

// Need is the rule for methods with a cost of their own, or that need all of some
// scopes and one of others.
func Need(n middleware.Need) Rule {
	n.All, n.Any = slices.Clone(n.All), slices.Clone(n.Any)
	return Rule{guarded, n}
}

// Manage is the rule for methods that manage credentials, as [middleware.Guard.Manage]
// is for requests. Calls are taken from a bucket of their own, so that whoever floods
// the API with a leaked key cannot keep its owner from revoking it. Without names, any
// good credential will do.
func Manage(names ...string) Rule {
	return Rule{guarded, middleware.Need{All: slices.Clone(names), Manage: true}}
}

// Public is the rule for methods that are open to everybody. Credentials are ignored,
// and the handler finds no principal.
func Public() Rule { return Rule{access: public} }

func names(first string, more []string) []string { return append([]string{first}, more...) }

// validate returns nil if r can be the rule of a method.
func (r *Rule) validate(method string) error {
	if service, name, ok := strings.Cut(strings.TrimPrefix(method, "/"), "/"); !ok ||
		method[0] != '/' || service == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("grpcguard: %q is not the full name of a method", method)
	}
	if r.access == unset {
		return fmt.Errorf("grpcguard: the rule of %s is the zero Rule", method)
	}
	for _, name := range slices.Concat(r.need.All, r.need.Any) {
		if !scopes.Valid(name) {
			return fmt.Errorf("grpcguard: %q, which %s needs, is not a scope token", name, method)
		}
	}
	if r.need.Cost < 0 {
		return fmt.Errorf("grpcguard: the cost of %s is negative", method)
	}
	return nil
}

// Check compares the rules with the methods that are registered with a server, such as
// a [*grpc.Server]. Its error names all methods without a rule, and all rules without a
// method. Call it when everything is registered, so that a mistake shows at start-up.
func (i *Interceptor) Check(server interface {
	GetServiceInfo() map[string]grpc.ServiceInfo
},
) error {
	var errs []error
	without := maps.Clone(i.rules)
	for service, info := range server.GetServiceInfo() {
		for _, m := range info.Methods {
			method := "/" + service + "/" + m.Name
			if _, found := i.rules[method]; !found {
				errs = append(errs, fmt.Errorf("grpcguard: %s has no rule", method))
			}
			delete(without, method)
		}
	}
	for method := range without {
		errs = append(errs, fmt.Errorf("grpcguard: there is a rule for %s, but no such method", method))
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}
