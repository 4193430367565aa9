package keys_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// Formats of other systems. Those that take fewer texts come first.
var (
	betterauth = keys.MustForeignFormat("acme_live_", nil)
	seam       = keys.MustForeignFormat("acme_", &keys.ForeignOptions{Separator: "_"})
	seamdot    = keys.MustForeignFormat("dot_", &keys.ForeignOptions{Separator: "."})
	unkey      = keys.MustForeignFormat("prod_", nil)
	tail       = keys.MustForeignFormat("sk_live_", &keys.ForeignOptions{IDFrom: keys.After('_')})
	github     = keys.MustForeignFormat("ghp_", nil)
	sanctum    = keys.MustForeignFormat("sanctum_", &keys.ForeignOptions{Bare: true, Separator: "|"})
	drf        = keys.MustForeignFormat("drf_", &keys.ForeignOptions{Bare: true, Separator: "."})
	bare       = keys.MustForeignFormat("ba_", &keys.ForeignOptions{Bare: true})

	otherFormats = []*keys.Format{betterauth, seam, seamdot, unkey, tail, github, sanctum, drf, bare}
	foreignNames = map[string]*keys.Format{
		"betterauth": betterauth, "seam": seam, "seamdot": seamdot, "unkey": unkey, "tail": tail, "github": github,
		"sanctum": sanctum, "drf": drf, "bare": bare,
	}
	foreignClients = keys.MustFormat("cc_", keys.Apart, &keys.FormatOptions{AllowForeign: true})
)

// migrating returns an env that accepts what other systems made.
func migrating(t *testing.T) *env {
	return newEnv(t, &keys.Options{Format: partner, OtherFormats: otherFormats, ClientFormat: foreignClients})
}

// A foreignVector is a block of testdata/foreign.txt.
type foreignVector map[string]string

func foreignVectors(t *testing.T) []foreignVector {
	t.Helper()
	file, err := os.Open("testdata/foreign.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []foreignVector
	block := make(foreignVector)
	for lines := bufio.NewScanner(file); ; {
		more := lines.Scan()
		line := lines.Text()
		if line == "" && len(block) > 0 {
			all = append(all, block)
			block = make(foreignVector)
		}
		if !more {
			return all
		}
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			t.Fatalf("bad line %q", line)
		}
		block[name] = value
	}
}

// foreign returns the credential of a vector.
func (v foreignVector) foreign(t *testing.T) keys.Foreign {
	t.Helper()
	f := keys.Foreign{Org: "acme", ID: v["client"]}
	if f.ID != "" {
		f.Spec.Kind = keys.KindClient
	}
	if v["stored"] == "" {
		f.Text = keys.NewSecret(v["text"])
		return f
	}
	d, err := keys.ForeignDigest(v["stored"], keys.Part(v["covers"]))
	if err != nil {
		t.Fatal(err)
	}
	f.Digest = d
	switch format := foreignNames[v["format"]]; {
	case format == nil:
	case v["name"] != "":
		f.ID, err = format.ForeignID(v["name"])
	default:
		f.ID, err = format.DerivedID(d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// dear reports whether each check of the digest takes a tenth of a second or more, or
// with -short a hundredth.
func (v foreignVector) dear() bool {
	return strings.Contains(v["stored"], "00000$") || strings.Contains(v["stored"], "=100000,") ||
		strings.HasPrefix(v["stored"], "{pbkdf2") || strings.HasPrefix(v["stored"], "$2b$12$") || strings.HasPrefix(v["stored"], "{bcrypt}$2a$10$") ||
		testing.Short() && strings.Contains(v["stored"], "$argon2")
}

// check checks the credential of a vector with a text in place of its own.
func (v foreignVector) check(t *testing.T, env *env, text string) error {
	if v["client"] != "" {
		_, err := env.verifier.VerifyClient(t.Context(), v["client"], text, time.Now())
		return err
	}
	_, err := env.verify(text)
	return err
}

// TestForeignVectors imports each vector, checks it with wrong texts and with the
// right one, and looks at the digest that is left.
func TestForeignVectors(t *testing.T) {
	t.Parallel()
	all := foreignVectors(t)
	if len(all) < 25 {
		t.Fatalf("%d vectors", len(all))
	}
	for _, v := range all {
		if v.dear() && testing.Short() {
			continue
		}
		t.Run(v["title"], func(t *testing.T) {
			t.Parallel()
			env := migrating(t)
			f := v.foreign(t)
			done := env.manager.ImportAll(t.Context(), []keys.Foreign{f})
			if done[0].Err != nil || done[0].Existed {
				t.Fatalf("%+v", done[0])
			}
			rec := done[0].Record
			if want := v["id"] + v["client"]; rec.ID != want {
				t.Errorf("ID %q, want %q", rec.ID, want)
			}
			if got := rec.Digest.String(); v["digest"] != "" && got != v["digest"] {
				t.Errorf("a digest by %s", got)
			}
			back, err := keys.ParseDigest(rec.Digest.Text())
			if err != nil || back != rec.Digest {
				t.Errorf("digest %q read again: %v", rec.Digest.Text(), err)
			}
			text := v["text"]
			wrong := []string{text[:len(text)-1] + "~"}
			if !v.dear() {
				wrong = append(wrong, text+"0", strings.ToUpper(text), text[1:], text[:len(text)-1])
			}
			refused := func() {
				for _, w := range wrong {
					if err := v.check(t, env, w); err != keys.ErrMismatch && err != keys.ErrUnknown && err != keys.ErrMalformed && w != text {
						t.Errorf("%q: %v", w, err)
					}
				}
			}
			refused()
			for range 2 {
				if err := v.check(t, env, text); err != nil {
					t.Fatal(err)
				}
			}
			after, _, err := env.store.Get(t.Context(), rec.ID)
			if err != nil || after.Digest.String() != v["after"] {
				t.Errorf("afterwards: a digest by %v, %v", after.Digest, err)
			}
			if !v.dear() {
				refused()
			}
		})
	}
}

// TestForeignVectorsAgain imports the vectors twice, before and after their first
// use, and with a known text in place of the digest.
func TestForeignVectorsAgain(t *testing.T) {
	t.Parallel()
	for _, v := range foreignVectors(t) {
		if v.dear() {
			continue // what is left has all kinds of digests
		}
		t.Run(v["title"], func(t *testing.T) {
			t.Parallel()
			env := migrating(t)
			f := v.foreign(t)
			dry := env.manager.CheckImport(t.Context(), []keys.Foreign{f})
			if dry[0].Err != nil || dry[0].Existed || len(env.records()) != 0 {
				t.Fatalf("dry: %+v", dry[0])
			}
			env.manager.ImportAll(t.Context(), []keys.Foreign{f})
			known := f
			known.Text = keys.NewSecret(v["text"])
			again := func(when string) {
				t.Helper()
				for _, f := range []keys.Foreign{f, known} {
					for name, do := range map[string]func(context.Context, []keys.Foreign) []keys.Imported{
						"dry": env.manager.CheckImport, "again": env.manager.ImportAll,
					} {
						if done := do(t.Context(), []keys.Foreign{f}); done[0].Err != nil || !done[0].Existed {
							t.Errorf("%s, %s: %+v", name, when, done[0])
						}
					}
				}
			}
			again("before its first use")
			if err := v.check(t, env, v["text"]); err != nil {
				t.Fatal(err)
			}
			again("after its first use")
			other := f
			other.Org = "globex"
			if done := env.manager.ImportAll(t.Context(), []keys.Foreign{other}); done[0].Err == nil || !errors.Is(done[0].Err, keys.ErrExists) {
				t.Errorf("for another organization: %+v", done[0])
			}
			if n := len(env.records()); n != 1 {
				t.Errorf("%d records", n)
			}
		})
	}
}

func TestForeignDigestRefuses(t *testing.T) {
	t.Parallel()
	hex64, b64 := strings.Repeat("0f", 32), strings.Repeat("A", 43)
	for _, tt := range []struct{ name, text string }{
		{"nothing", ""},
		{"the library's own form", sha256Text},
		{"the library's own form under a pepper", hmacText},
		{"the library's own form for others", "$foreign$v=1,of=text$sha256$" + sumText},
		{"clear text", "hunter2"},
		{"clear text of Spring", "{noop}" + hex64},
		{"an encoder that is not known", "{MD5}" + hex64},
		{"an encoder around another form", "{bcrypt}" + argonText},
		{"no end of the encoder", "{bcrypt" + bcryptText},
		{"an odd number of hex digits", hex64 + "0"},
		{"SHA-1", hex64[:40]},
		{"SHA-384", hex64 + hex64[:32]},
		{"base64 that is too short", b64[:42]},
		{"base64 of two alphabets", "-+" + b64[2:]},
		{"base64 with bits left", b64[:42] + "B"},
		{"base64 of URLs with bits left", "-" + b64[1:42] + "B"},
		{"base64 with a line break", b64[:42] + "\nA"},
		{"base64 with too much padding", b64 + "=="},
		{"base64 with even more", b64 + "==="},
		{"a tag around another length", "sha512$$" + hex64},
		{"a hash with a salt", "sha256$salt$" + hex64},
		{"bcrypt, dear", strings.Replace(bcryptText, "$04$", "$14$", 1)},
		{"PBKDF2, dear", "pbkdf2_sha256$1500001$salt$" + b64 + "="},
		{"argon2id, dear", strings.Replace(argonText, "t=1,", "t=5,", 1)},
		{"PBKDF2, dear by its length", "$pbkdf2-sha256$i=750001,l=64$c2FsdA$" + b64 + b64},
		{"PBKDF2 without iterations", "pbkdf2_sha256$0$salt$" + b64 + "="},
		{"PBKDF2 without a salt", "pbkdf2_sha256$1$$" + b64 + "="},
		{"PBKDF2, negative", "pbkdf2_sha256$-1$salt$" + b64 + "="},
		{"PBKDF2, enormous", "pbkdf2_sha256$99999999999999999999$salt$" + b64 + "="},
		{"PBKDF2 with a short hash", "pbkdf2_sha256$1$salt$AAAA"},
		{"PBKDF2 with another length", "$pbkdf2-sha256$i=1,l=31$c2FsdA$" + b64},
		{"PBKDF2 with SHA-1", "pbkdf2_sha1$1$salt$" + b64 + "="},
		{"PBKDF2 with a leading zero", "$pbkdf2-sha256$i=01,l=32$c2FsdA$" + b64},
		{"argon2i", strings.Replace(argonText, "argon2id", "argon2i", 1)},
		{"too long", "$argon2id$v=19$m=64,t=1,p=1$" + strings.Repeat("A", 200) + "$" + sumText},
	} {
		d, err := keys.ForeignDigest(tt.text, keys.TextPart)
		var invalid *keys.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != keys.FieldDigest || !d.IsZero() {
			t.Errorf("%s: %v, %v", tt.name, d, err)
		}
		if err != nil && tt.text != "" && strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: the error quotes the text", tt.name)
		}
	}
	for _, dearest := range []string{
		strings.Replace(bcryptText, "$04$", "$13$", 1), strings.Replace(argonText, "m=64,t=1,p=1", "m=65536,t=4,p=16", 1),
		"$pbkdf2-sha256$i=1500000,l=32$c2FsdA$" + b64, "$pbkdf2-sha256$i=750000,l=64$c2FsdA$" + strings.Repeat("A", 86),
	} {
		if _, err := keys.ForeignDigest(dearest, keys.SecretPart); err != nil {
			t.Errorf("%s: %v", dearest, err)
		}
	}
	for _, of := range []keys.Part{"", "Secret", "after", "after__", "after/", "before_", keys.After('$'), keys.After(0x80)} {
		if d, err := keys.ForeignDigest(hex64, of); !errors.Is(err, keys.ErrInvalid) || !d.IsZero() {
			t.Errorf("of %q: %v, %v", of, d, err)
		}
	}
}

// TestForeignDigestForms compares the stored forms with their documentation. They can
// never change.
func TestForeignDigestForms(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("00", 32)
	zeros := strings.Repeat("A", 43)
	pbkdf2 := "$pbkdf2-sha256$i=1,l=32$c2FsdA$" + zeros
	for _, tt := range []struct {
		text string
		of   keys.Part
		want string
	}{
		{sum, keys.SecretPart, "$foreign$v=1,of=secret$sha256$" + zeros},
		{sum, keys.TextPart, "$foreign$v=1,of=text$sha256$" + zeros},
		{sum, keys.After('|'), "$foreign$v=1,of=after|$sha256$" + zeros},
		{sum + sum, keys.TextPart, "$foreign$v=1,of=text$sha512$" + strings.Repeat("A", 86)},
		{bcryptText, keys.SecretPart, bcryptText},
		{bcryptText, keys.TextPart, "$foreign$v=1,of=text" + bcryptText},
		{argonText, keys.SecretPart, argonText},
		{argonText, keys.After('_'), "$foreign$v=1,of=after_" + argonText},
		{"pbkdf2_sha256$1$salt$" + zeros + "=", keys.SecretPart, pbkdf2},
		{"pbkdf2_sha256$1$salt$" + zeros + "=", keys.TextPart, "$foreign$v=1,of=text" + pbkdf2},
	} {
		d, err := keys.ForeignDigest(tt.text, tt.of)
		if err != nil || d.Text() != tt.want {
			t.Errorf("%s: %q, %v", tt.want, d.Text(), err)
		}
		if back, err := keys.ParseDigest(tt.want); err != nil || back != d {
			t.Errorf("%s: read again as %v, %v", tt.want, back, err)
		}
	}
	for _, text := range []string{
		"$foreign$v=1,of=secret" + bcryptText, "$foreign$v=1,of=secret" + pbkdf2, "$foreign$v=1,of=secret", "$foreign$v=1,of=",
		"$foreign$v=2,of=text$sha256$" + zeros, "$foreign$v=1,of=half$sha256$" + zeros, "$foreign$v=1,of=text" + sha256Text,
		"$foreign$v=1,of=text$foreign$v=1,of=text$sha256$" + zeros, "$foreign$v=1,of=text$sha256$" + zeros + "A", "$sha256$" + zeros,
	} {
		if d, err := keys.ParseDigest(text); !errors.Is(err, keys.ErrCorrupt) || !d.IsZero() {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
}
