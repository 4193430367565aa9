package middleware

// MaxReminded bounds the keys that a guard remembers.
const MaxReminded = maxReminded

// Reminded returns how many keys g remembers.
func (g *Guard) Reminded() int { return len(g.reminded.told) }
