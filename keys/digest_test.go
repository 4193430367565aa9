package keys_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

// Digests as stores keep them. The bcrypt and argon2id ones are those of
// foreignSecret, made with other programs.
const (
	sumText      = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	sha256Text   = "$sha256$v=1$" + sumText
	hmacText     = "$hmac-sha256$v=1,k=pepper_2026$" + sumText
	bcryptText   = "$2b$04$abcdefghijklmnopqrstuuJ3mJ7dmBHqrdRDqyhLfZrNhBvM6LHFi"
	argonText    = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQxMjM0NTY3OA$" + sumText
	anotherSum   = "8AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	notCanonical = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9"
)

func TestParseDigest(t *testing.T) {
	t.Parallel()
	for text, name := range map[string]string{
		sha256Text: "sha256", hmacText: "hmac-sha256", bcryptText: "bcrypt", argonText: "argon2id",
		strings.Replace(bcryptText, "$2b$", "$2a$", 1): "bcrypt",
		strings.Replace(bcryptText, "$2b$", "$2y$", 1): "bcrypt",
		// The bounds.
		strings.Replace(bcryptText, "$04$", "$13$", 1):                    "bcrypt",
		strings.Replace(argonText, "m=64,t=1,p=1", "m=65536,t=4,p=16", 1): "argon2id",
		strings.Replace(argonText, "m=64,t=1,p=1", "m=8,t=1,p=1", 1):      "argon2id",
		"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAECAwQFBgcICQoLDA0ODw":  "argon2id",
		"$hmac-sha256$v=1,k=" + strings.Repeat("p", 32) + "$" + sumText:   "hmac-sha256",
	} {
		d, err := keys.ParseDigest(text)
		if err != nil || d.Text() != text || d.String() != name || d.IsZero() {
			t.Errorf("%q became %q, a %v, %v", text, d.Text(), d, err)
		}
		if again, err := keys.ParseDigest(text); err != nil || again != d {
			t.Errorf("%q: two parses differ", text)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if printed := fmt.Sprintf(verb, d); printed != name {
				t.Errorf("%s prints %q", verb, printed)
			}
		}
		var back keys.Digest
		data, err := d.MarshalText()
		if err != nil || back.UnmarshalText(data) != nil || back != d {
			t.Errorf("%q through text: %q, %v", text, data, err)
		}
	}
}

func TestParseDigestRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty":                   "",
		"plain text":              "hunter2",
		"no tag":                  sumText,
		"short":                   sha256Text[:len(sha256Text)-1],
		"long":                    sha256Text + "A",
		"padded":                  sha256Text + "=",
		"not canonical":           "$sha256$v=1$" + notCanonical,
		"a line break":            sha256Text[:len(sha256Text)-1] + "\n",
		"line breaks inside":      "$sha256$v=1$" + sumText[:20] + "\r\n" + sumText[22:],
		"a line break for a byte": "$sha256$v=1$" + sumText[:20] + "\n" + sumText[20:41] + "A",
		"and under a pepper":      "$hmac-sha256$v=1,k=p$" + sumText[:41] + "A\n",
		"three of them":           "$sha256$v=1$" + sumText[:20] + "\r\n\n" + sumText[20:40],
		"unknown version":         "$sha256$v=2$" + sumText,
		"unknown algorithm":       "$md5$v=1$" + sumText,
		"capitals":                strings.ToUpper(sha256Text),
		"no pepper":               "$hmac-sha256$v=1,k=$" + sumText,
		"a pepper with a space":   "$hmac-sha256$v=1,k=a b$" + sumText,
		"an HMAC without sum":     "$hmac-sha256$v=1,k=pepper_2026",
		"bcrypt, short":           bcryptText[:59],
		"bcrypt, long":            bcryptText + "a",
		"bcrypt, dear":            strings.Replace(bcryptText, "$04$", "$15$", 1),
		"bcrypt, cheap":           strings.Replace(bcryptText, "$04$", "$03$", 1),
		"bcrypt, junk":            bcryptText[:59] + "\n",
		"bcrypt, other":           strings.Replace(bcryptText, "$2b$", "$2x$", 1),
		"argon2i":                 strings.Replace(argonText, "argon2id", "argon2i", 1),
		"argon2id, old":           strings.Replace(argonText, "v=19", "v=16", 1),
		"argon2id, much memory":   strings.Replace(argonText, "m=64", "m=4194304", 1),
		"argon2id, too much":      strings.Replace(argonText, "m=64", "m=65537", 1),
		"argon2id, 5 passes":      strings.Replace(argonText, "t=1", "t=5", 1),
		"argon2id, no passes":     strings.Replace(argonText, "t=1", "t=0", 1),
		"argon2id, 17 lanes":      strings.Replace(argonText, "m=64,t=1,p=1", "m=256,t=1,p=17", 1),
		"argon2id, 2 lanes":       strings.Replace(argonText, "m=64,t=1,p=1", "m=15,t=1,p=2", 1),
		"argon2id, 7-byte salt":   strings.Replace(argonText, "c29tZXNhbHQxMjM0NTY3OA", "c29tZXNhbA", 1),
		"argon2id, 15-byte sum":   strings.Replace(argonText, sumText, "AAECAwQFBgcICQoLDA0O", 1),
		"a long pepper name":      "$hmac-sha256$v=1,k=" + strings.Repeat("p", 33) + "$" + sumText,
		"argon2id, little memory": strings.Replace(argonText, "m=64", "m=7", 1),
		"argon2id, many passes":   strings.Replace(argonText, "t=1", "t=1000", 1),
		"argon2id, no lanes":      strings.Replace(argonText, "p=1", "p=0", 1),
		"argon2id, many lanes":    strings.Replace(argonText, "p=1", "p=255", 1),
		"argon2id, more":          argonText + "$",
		"argon2id, spaces":        strings.Replace(argonText, "m=64", "m= 64", 1),
		"argon2id, leading zero":  strings.Replace(argonText, "m=64", "m=064", 1),
		"argon2id, short salt":    strings.Replace(argonText, "c29tZXNhbHQxMjM0NTY3OA", "c29tZQ", 1),
		"argon2id, short sum":     strings.Replace(argonText, sumText, "AAECAw", 1),
		"argon2id, huge":          argonText + strings.Repeat("A", 400),
	} {
		d, err := keys.ParseDigest(text)
		if !errors.Is(err, keys.ErrCorrupt) || !d.IsZero() {
			t.Errorf("%s: %v, %v", name, d, err)
			continue
		}
		if text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error quotes the text", name)
		}
	}
}

func TestDigestOfNothing(t *testing.T) {
	t.Parallel()
	d, err := keys.ParseDigest(sha256Text)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.UnmarshalText([]byte("$sha256$v=9$")); err == nil || d.Text() != sha256Text {
		t.Errorf("bad text: %v, and the digest is now %q", err, d.Text())
	}
	if err := d.UnmarshalText(nil); err != nil || !d.IsZero() || d.Text() != "" || d.String() != "none" {
		t.Errorf("no text: %v, and the digest is now %q", err, d.Text())
	}
}

// TestDigestForm computes the stored form by its documentation, and compares:
// SHA-256 over the kind, a zero byte and the secret half.
func TestDigestForm(t *testing.T) {
	t.Parallel()
	env := newEnv(t, nil)
	issued := env.create(keys.Spec{})
	_, secret, _ := strings.Cut(issued.Text.Reveal(), ".")
	sum := sha256.Sum256([]byte("key\x00" + secret))
	if want := "$sha256$v=1$" + base64.RawStdEncoding.EncodeToString(sum[:]); issued.Record.Digest.Text() != want {
		t.Errorf("digest %q, want %q", issued.Record.Digest.Text(), want)
	}
}

// TestDigestFormOfImports does the same for secrets of all lengths, with and
// without a pepper, where the digest is an HMAC over the same bytes.
func TestDigestFormOfImports(t *testing.T) {
	t.Parallel()
	env := newEnv(t, &keys.Options{Format: foreign})
	pepper := strings.Repeat("p", 32)
	peppered, _ := env.over(&keys.Options{Format: foreign, Peppers: []keys.Pepper{{Name: "p", Key: keys.NewSecret(pepper)}}})
	for _, n := range []int{32, 47, 48, 49, 50, 51, 52, 64, 400} {
		secret := strings.Repeat("s", n)
		rec, err := env.manager.Import(t.Context(), "acme", keys.NewSecret(fmt.Sprintf("vck_plain%d.%s", n, secret)), keys.Spec{})
		if err != nil || rec.Digest != digestOf(t, keys.KindKey, keys.NewSecret(secret)) {
			t.Errorf("%d characters: %q, %v", n, rec.Digest.Text(), err)
		}
		rec, err = peppered.Import(t.Context(), "acme", keys.NewSecret(fmt.Sprintf("vck_pepper%d.%s", n, secret)), keys.Spec{})
		mac := hmac.New(sha256.New, []byte(pepper))
		mac.Write([]byte("key\x00" + secret))
		if want := "$hmac-sha256$v=1,k=p$" + base64.RawStdEncoding.EncodeToString(mac.Sum(nil)); err != nil || rec.Digest.Text() != want {
			t.Errorf("%d characters under a pepper: %q, want %q, %v", n, rec.Digest.Text(), want, err)
		}
	}
}

func FuzzParseDigest(f *testing.F) {
	for _, text := range []string{"", sha256Text, hmacText, bcryptText, argonText, "$sha256$v=1$" + anotherSum, "$2b$99$", "$argon2id$v=19$m=1,t=1,p=1$$"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := keys.ParseDigest(text)
		if err != nil {
			if !errors.Is(err, keys.ErrCorrupt) || !d.IsZero() {
				t.Fatalf("%q: %v, %v", text, d, err)
			}
			return
		}
		if d.Text() != text || d.IsZero() || len(text) > 255 {
			t.Fatalf("%q became %q", text, d.Text())
		}
	})
}
