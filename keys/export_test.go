package keys

// HoldSlowHashes takes every place for slow hashes until release is called.
func (v *Verifier) HoldSlowHashes() (release func()) {
	for range cap(v.hasher.slow) {
		v.hasher.slow <- struct{}{}
	}
	return func() {
		for range cap(v.hasher.slow) {
			<-v.hasher.slow
		}
	}
}
