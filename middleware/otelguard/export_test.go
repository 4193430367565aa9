package otelguard

import "github.com/claviger-auth/claviger/keys"

// Join returns a store of nothing with a set of optional interfaces.
func Join(has int) keys.Store { return join(has, records{}, new(parts)) }
