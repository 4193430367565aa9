package middleware

import "unsafe"

// MaxReminded bounds the keys that a guard remembers.
const MaxReminded = maxReminded

// Reminded returns how many keys g remembers.
func (g *Guard) Reminded() int { return len(g.reminded.told) }

// AdmittedSize is the size of what is made for a request that goes on, in bytes.
const AdmittedSize = unsafe.Sizeof(admitted{})
