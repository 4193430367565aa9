package keys_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

// FuzzForeignDigest reads what another system may keep: what is accepted has a
// stored form that is read again as the same.
func FuzzForeignDigest(f *testing.F) {
	for _, text := range []string{
		"", "f1gXuxxeEMsCl-itEVBLF621Wni36Fh06UCAU7IMNpY", "hTO87jOQqSr0Yz0pw7TV7Y+Fipp3nfxS8ysGAjrUJSE=",
		strings.Repeat("ab", 32), "sha512$$" + strings.Repeat("cd", 64), "pbkdf2_sha256$1000$salt$xksFN7D3L4F4tJQaVFkU3Mg7TnsjEGeeK3jH4IgfNbE=",
		"$pbkdf2-sha256$i=1,l=32$c2FsdA$" + sumText, "{bcrypt}" + bcryptText, "bcrypt$" + bcryptText, "argon2" + argonText,
		"{pbkdf2@SpringSecurity_v5_8}" + strings.Repeat("00", 48), "{noop}secret", sha256Text,
	} {
		for _, of := range []string{"secret", "text", "after|"} {
			f.Add(text, of)
		}
	}
	f.Fuzz(func(t *testing.T, text, of string) {
		d, err := keys.ForeignDigest(text, keys.Part(of))
		if err != nil {
			if !errors.Is(err, keys.ErrInvalid) || !d.IsZero() {
				t.Fatalf("%q: %v, %v", text, d, err)
			}
			return
		}
		back, err := keys.ParseDigest(d.Text())
		if err != nil || back != d || len(d.Text()) > keys.MaxDigest {
			t.Fatalf("%q became %q, and that %v, %v", text, d.Text(), back, err)
		}
	})
}

// FuzzForeignFormats parses texts of other systems: each has one parse, and is
// written again as it was.
func FuzzForeignFormats(f *testing.F) {
	for _, text := range []string{
		"", "7|AbCd", "acme_a_b", "acme_a", "acme__b", "hT2bXq9Z.Wm4RkV7s", "prod_3ZxKwLmQ9sTvB7nRcYpHdF", "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
		"AVfUxfDgQVBGVVutsNNmuEgHKJEcwbiv", "|", ".", strings.Repeat("a", 300) + "|b",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, format := range otherFormats {
			c, err := format.Parse(text)
			if err != nil {
				if err != keys.ErrMalformed || c.ID != "" || c.Secret.Len() != 0 {
					t.Fatalf("%q: %v, %v", text, c, err)
				}
				continue
			}
			if !format.ValidID(c.ID) || !strings.HasPrefix(c.ID, format.Prefix()) || c.Secret.Len() == 0 || format.Text(c).Reveal() != text {
				t.Fatalf("%q: ID %q, written again as %q", text, c.ID, format.Text(c).Reveal())
			}
		}
	})
}
