package keys_test

import (
	"testing"
	"testing/cryptotest"

	"github.com/claviger-auth/claviger/keys"
)

// TestDigitsAreFair counts the digits of many keys. If digits were drawn from all
// values of a byte, some would come up a quarter too often. It is deterministic.
func TestDigitsAreFair(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	counts := make(map[rune]int)
	n := 0
	for range 2000 {
		c, err := partner.New("live")
		if err != nil {
			t.Fatal(err)
		}
		for _, digit := range c.ID[len("vck_live_"):] + c.Secret.Reveal()[:43] {
			counts[digit]++
			n++
		}
	}
	mean, sum := float64(n)/62, 0.0
	for _, count := range counts {
		sum += (float64(count) - mean) * (float64(count) - mean) / mean
	}
	// Chi-square with 61 degrees of freedom is above 110 once in 10,000 times.
	if len(counts) != 62 || sum > 110 {
		t.Errorf("chi-square %v over %d digits: %v", sum, len(counts), counts)
	}
}

// TestAllHexDigitsAreDrawn makes tokens and clients: at no place do they have the same few
// digits. It is deterministic.
func TestAllHexDigitsAreDrawn(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	for _, f := range []*keys.Format{token, client} {
		digits := make(map[int]map[byte]bool)
		for range 64 {
			c, err := f.New("")
			if err != nil {
				t.Fatal(err)
			}
			drawn := c.ID[len(f.Prefix()):] + c.Secret.Reveal()
			for i := range len(drawn) {
				if digits[i] == nil {
					digits[i] = make(map[byte]bool)
				}
				digits[i][drawn[i]] = true
			}
		}
		for i, seen := range digits {
			if len(seen) < 12 {
				t.Errorf("%s: %d digits at place %d", f.Prefix(), len(seen), i)
			}
		}
	}
}
