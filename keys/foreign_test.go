package keys_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/storetest"
)

// Formats of other systems. Those that take more stand behind those that take
// less.
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

// dear reports whether each check of the digest takes a tenth of a second or more.
func (v foreignVector) dear() bool {
	return strings.Contains(v["stored"], "00000$") || strings.Contains(v["stored"], "=100000,") ||
		strings.HasPrefix(v["stored"], "{pbkdf2") || strings.HasPrefix(v["stored"], "$2b$12$") || strings.HasPrefix(v["stored"], "{bcrypt}$2a$10$")
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
			switch {
			case v.dear() && testing.Short():
				wrong = nil
			case !v.dear():
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
		{"base64 with a line break", b64[:42] + "\nA"},
		{"base64 with too much padding", b64 + "=="},
		{"a tag around another length", "sha512$$" + hex64},
		{"a hash with a salt", "sha256$salt$" + hex64},
		{"bcrypt, dear", strings.Replace(bcryptText, "$04$", "$14$", 1)},
		{"PBKDF2, dear", "pbkdf2_sha256$1500001$salt$" + b64 + "="},
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
	for _, of := range []keys.Part{"", "Secret", "after", "after__", "after/", "before_", keys.After('$'), keys.After(0x80)} {
		if d, err := keys.ForeignDigest(hex64, of); !errors.Is(err, keys.ErrInvalid) || !d.IsZero() {
			t.Errorf("of %q: %v, %v", of, d, err)
		}
	}
}

// TestForeignDigestForms holds the stored forms to their documentation: they can
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

// TestImportTraps imports digests that nothing could ever be checked against.
func TestImportTraps(t *testing.T) {
	t.Parallel()
	env := migrating(t)
	of := func(text string, part keys.Part) keys.Digest {
		d, err := keys.ForeignDigest(text, part)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const text = "acme_PWJApVjo_JFjnDXVUVDpRiZx5e9zuDfsP"
	hash := strings.Repeat("ab", 32)
	other := "ba_" + strings.Repeat("00", 16)
	for _, tt := range []struct {
		name string
		f    keys.Foreign
		want error
	}{
		{"a plain hash in the library's own form", keys.Foreign{ID: "acme_PWJApVjo", Digest: mustDigest(t, sha256Text)}, keys.ErrInvalid},
		{"the same beside the text", keys.Foreign{Text: keys.NewSecret(text), Digest: mustDigest(t, sha256Text)}, keys.ErrInvalid},
		{"a digest that is not of the text", keys.Foreign{Text: keys.NewSecret(text), Digest: of(hash, keys.SecretPart)}, keys.ErrInvalid},
		{"a digest of another part", keys.Foreign{Text: keys.NewSecret(text), Digest: of("e94ce3a31d2fd02e144aefe158d3d979a6705ad11909b4a98da98350cb513644", keys.TextPart)}, keys.ErrInvalid},
		{"an ID that does not come from the digest", keys.Foreign{ID: other, Digest: of(hash, keys.TextPart)}, keys.ErrInvalid},
		{"an ID from the hash of another part", keys.Foreign{ID: "ba_" + hash[:32], Digest: of(hash, keys.After('_'))}, keys.ErrInvalid},
		{"an ID beside another text", keys.Foreign{ID: "acme_other", Text: keys.NewSecret(text)}, keys.ErrInvalid},
		{"an ID of no format", keys.Foreign{ID: "PWJApVjo", Digest: of(hash, keys.SecretPart)}, keys.ErrMalformed},
		{"a text of no format", keys.Foreign{Text: keys.NewSecret("short")}, keys.ErrMalformed},
		{"a token", keys.Foreign{Text: keys.NewSecret("oauth_" + strings.Repeat("z", 88))}, keys.ErrMalformed},
		{"nothing", keys.Foreign{ID: "acme_PWJApVjo"}, keys.ErrInvalid},
		{"a token's kind", keys.Foreign{ID: "acme_PWJApVjo", Digest: of(hash, keys.SecretPart), Spec: keys.Spec{Kind: keys.KindToken}}, keys.ErrInvalid},
		{"a client without an ID", keys.Foreign{Text: keys.NewSecret("x"), Spec: keys.Spec{Kind: keys.KindClient}}, keys.ErrMalformed},
		{"a client with the ID of a key", keys.Foreign{ID: "vck_x", Text: keys.NewSecret("x"), Spec: keys.Spec{Kind: keys.KindClient}}, keys.ErrMalformed},
		{"a client with the ID of a foreign key", keys.Foreign{ID: "drf_x", Text: keys.NewSecret("x"), Spec: keys.Spec{Kind: keys.KindClient}}, keys.ErrMalformed},
		{"a client with the ID of a token", keys.Foreign{ID: "oauth_x", Digest: of(hash, keys.SecretPart), Spec: keys.Spec{Kind: keys.KindClient}}, keys.ErrMalformed},
		{"a client with an actor's name", keys.Foreign{ID: "cli:anna", Text: keys.NewSecret("x"), Spec: keys.Spec{Kind: keys.KindClient}}, keys.ErrMalformed},
	} {
		tt.f.Org = "acme"
		for name, do := range map[string]func(context.Context, []keys.Foreign) []keys.Imported{
			"dry": env.manager.CheckImport, "in earnest": env.manager.ImportAll,
		} {
			if done := do(t.Context(), []keys.Foreign{tt.f}); !errors.Is(done[0].Err, tt.want) || done[0].Existed {
				t.Errorf("%s, %s: %v", tt.name, name, done[0].Err)
			}
		}
	}
	if n := len(env.records()); n != 0 {
		t.Errorf("%d records", n)
	}
}

// TestForeignKeyAsClient presents the ID of a key as that of a client: a wrong
// secret, and no store that answers with nonsense.
func TestForeignKeyAsClient(t *testing.T) {
	t.Parallel()
	env := migrating(t)
	rec, err := env.manager.Import(t.Context(), "acme", keys.NewSecret("7|AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"), keys.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{rec.ID, env.create(keys.Spec{}).Record.ID} {
		if _, err := env.verifier.VerifyClient(t.Context(), id, "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789", time.Now()); err != keys.ErrMalformed {
			t.Errorf("%s: %v", id, err)
		}
	}
	strict := newEnv(t, nil)
	if _, err := strict.verifier.VerifyClient(t.Context(), "my-client", "secret", time.Now()); err != keys.ErrMalformed {
		t.Errorf("where no foreign clients are allowed: %v", err)
	}
}

// TestForeignTexts says which format takes which text, and what costs a read.
func TestForeignTexts(t *testing.T) {
	t.Parallel()
	env := migrating(t)
	own := env.create(keys.Spec{}).Text.Reveal()
	last := "0"
	if strings.HasSuffix(own, last) {
		last = "1"
	}
	for _, tt := range []struct {
		name, text string
		want       error
		reads      int
	}{
		{"an own key", own, nil, 1},
		{"an own key with a wrong checksum", own[:len(own)-1] + last, keys.ErrMalformed, 0},
		{"a token of nobody", "oauth_" + strings.Repeat("0", 88), keys.ErrUnknown, 1},
		{"a token that is malformed", "oauth_" + strings.Repeat("z", 88), keys.ErrMalformed, 0},
		{"a short text", "tooshort", keys.ErrMalformed, 0},
		{"a text of 19 characters", strings.Repeat("a", 19), keys.ErrMalformed, 0},
		{"a text of 20 characters", strings.Repeat("a", 20), keys.ErrUnknown, 1},
		{"the longest", strings.Repeat("a", keys.MaxLen), keys.ErrUnknown, 1},
		{"a longer one", strings.Repeat("a", keys.MaxLen+1), keys.ErrMalformed, 0},
		{"a space", strings.Repeat("a", 20) + " b", keys.ErrMalformed, 0},
		{"a control character", strings.Repeat("a", 20) + "\x7f", keys.ErrMalformed, 0},
		{"no ASCII", strings.Repeat("ü", 20), keys.ErrMalformed, 0},
		{"nothing before the separator", "|" + strings.Repeat("a", 18), keys.ErrMalformed, 0},
		{"nothing behind it", strings.Repeat("a", 18) + "|", keys.ErrMalformed, 0},
		{"an ID that is too long", strings.Repeat("a", 248) + "|a", keys.ErrUnknown, 1}, // by the last format
	} {
		before := env.faults.Calls(storetest.Get)
		if _, err := env.verify(tt.text); err != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
		if n := env.faults.Calls(storetest.Get) - before; n != tt.reads {
			t.Errorf("%s: %d reads, want %d", tt.name, n, tt.reads)
		}
	}
}

// TestForeignFormatText writes what was parsed again.
func TestForeignFormatText(t *testing.T) {
	t.Parallel()
	for _, v := range foreignVectors(t) {
		f := foreignNames[v["format"]]
		if f == nil {
			continue
		}
		c, err := f.Parse(v["text"])
		if err != nil || c.ID != v["id"] || !f.ValidID(c.ID) || f.Text(c).Reveal() != v["text"] {
			t.Errorf("%s: ID %q, written again as %q, %v", v["title"], c.ID, f.Text(c).Reveal(), err)
		}
		if c, err := f.New(""); err == nil || c.ID != "" {
			t.Errorf("%s makes keys", v["format"])
		}
	}
}

func TestNewForeignFormatRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, prefix string
		opts         keys.ForeignOptions
	}{
		{"no prefix", "", keys.ForeignOptions{}},
		{"a prefix without its underscore", "ba", keys.ForeignOptions{}},
		{"two separators", "ba_", keys.ForeignOptions{Separator: "||"}},
		{"a separator that is a letter", "ba_", keys.ForeignOptions{Separator: "a"}},
		{"a part that does not exist", "ba_", keys.ForeignOptions{IDFrom: "half"}},
		{"an ID from the secret", "ba_", keys.ForeignOptions{IDFrom: keys.SecretPart}},
		{"two ways to an ID", "ba_", keys.ForeignOptions{Separator: "|", IDFrom: keys.TextPart}},
	} {
		if _, err := keys.NewForeignFormat(tt.prefix, &tt.opts); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
	}
	for name, o := range map[string]keys.Options{
		"a foreign format for new keys":      {Format: sanctum},
		"a foreign format for tokens":        {TokenFormat: seam},
		"a format of clients for keys":       {OtherFormats: []*keys.Format{client}},
		"no format":                          {OtherFormats: []*keys.Format{nil}},
		"a prefix that is also of tokens":    {OtherFormats: []*keys.Format{keys.MustForeignFormat("oauth_old_", nil)}},
		"a prefix that is also of clients":   {OtherFormats: []*keys.Format{keys.MustForeignFormat("c_", nil)}, ClientFormat: keys.MustFormat("c_x_", keys.Apart, nil)},
		"foreign keys in the layout of none": {Format: foreignClients},
	} {
		if _, err := keys.NewManager(migrating(t).store, &o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, f := range []*keys.Format{sanctum, bare} {
		if _, err := f.ForeignID(""); err != keys.ErrMalformed {
			t.Errorf("no name: %v", err)
		}
	}
	if _, err := sanctum.ForeignID("7|8"); err != keys.ErrMalformed {
		t.Errorf("a name with the separator: %v", err)
	}
}

// TestImportAllMixed imports good and bad credentials at once.
func TestImportAllMixed(t *testing.T) {
	t.Parallel()
	env := migrating(t)
	created := now().Add(-time.Hour)
	list := []keys.Foreign{
		{Org: "acme", Text: keys.NewSecret("1|" + strings.Repeat("a", 40)), CreatedAt: created, ExpiresAt: created.Add(-time.Minute)},
		{Org: "acme", Text: keys.NewSecret("short")},
		{Org: "acme", Text: keys.NewSecret("2|" + strings.Repeat("b", 40)), CreatedAt: created, RevokedAt: created.Add(1)},
		{Org: "acme", Text: keys.NewSecret("1|" + strings.Repeat("a", 40))}, // the first once more
		{Org: "acme", Text: keys.NewSecret("1|" + strings.Repeat("c", 40))}, // its ID with another secret
		{Org: "acme", Text: keys.NewSecret("3|" + strings.Repeat("d", 40)), Spec: keys.Spec{Scopes: []string{"webhooks:manage"}, Environment: "test", Label: "three"}, DisabledAt: created},
	}
	env.types()
	done := env.manager.ImportAll(t.Context(), list)
	var errs []error
	for _, d := range done {
		errs = append(errs, d.Err)
	}
	if errs[0] != nil || !errors.Is(errs[1], keys.ErrMalformed) || errs[2] != nil || errs[3] != nil || !done[3].Existed || !errors.Is(errs[4], keys.ErrExists) || errs[5] != nil {
		t.Fatal(errs)
	}
	if got := env.types(); !slices.Equal(got, []keys.EventType{keys.Created, keys.Created, keys.Created}) {
		t.Errorf("events %v", got)
	}
	for text, want := range map[string]error{
		list[0].Text.Reveal(): keys.ErrExpired, list[2].Text.Reveal(): keys.ErrRevoked, list[5].Text.Reveal(): keys.ErrPaused, list[4].Text.Reveal(): keys.ErrMismatch,
	} {
		if _, err := env.verify(text); err != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if rec := done[5].Record; rec.Label != "three" || rec.Environment != "test" || rec.Scopes.String() != "identity:read webhooks:manage" || done[0].Record.CreatedAt != created {
		t.Errorf("%+v", rec)
	}
}

// TestImportAllFails has the store fail in the middle: what is in it is said to be,
// and the rest can be imported again.
func TestImportAllFails(t *testing.T) {
	t.Parallel()
	env := migrating(t)
	var list []keys.Foreign
	for _, c := range "abcde" {
		list = append(list, keys.Foreign{Org: "acme", Text: keys.NewSecret(string(c) + "|" + strings.Repeat("s", 40))})
	}
	env.during = func(string) {} // nothing, at the first
	env.after = func(string) { env.faults.Fail(storetest.Insert, 1, errors.New("disk full")) }
	done := env.manager.ImportAll(t.Context(), list)
	if done[0].Err != nil {
		t.Errorf("before the failure: %v", done[0].Err)
	}
	for _, d := range done[1:] {
		if !errors.Is(d.Err, keys.ErrUnavailable) {
			t.Errorf("after it: %v", d.Err)
		}
	}
	for i, d := range env.manager.ImportAll(t.Context(), list) {
		if d.Err != nil || d.Existed != (i == 0) {
			t.Errorf("%d, again: %+v", i, d)
		}
	}
}

// TestForeignLife leads what was imported through the life of any credential: found,
// paused, rotated and revoked.
func TestForeignLife(t *testing.T) {
	t.Parallel()
	env := migrating(t)
	ctx := t.Context()
	const keyText, secret = "9b1f6c3e-52a7|x9KdLmQpRsTuVwXyZaBcDeFgHiJkLmNo", "b2xkLWh5ZHJhLXNlY3JldC1mb3ItYWNtZQ"
	done := env.manager.ImportAll(ctx, []keys.Foreign{
		{Org: "acme", Text: keys.NewSecret(keyText), Spec: keys.Spec{Scopes: []string{"webhooks:manage"}}},
		{Org: "acme", ID: "photos.example.com", Text: keys.NewSecret(secret), Spec: keys.Spec{Kind: keys.KindClient}},
	})
	key, c := done[0].Record, done[1].Record
	if done[0].Err != nil || done[1].Err != nil {
		t.Fatal(done)
	}
	if got, err := env.manager.Get(ctx, "acme", keys.KindKey, key.ID); err != nil || got.ID != "sanctum_9b1f6c3e-52a7" {
		t.Errorf("%q, %v", got.ID, err)
	}
	if _, err := env.manager.Change(ctx, "acme", keys.KindKey, key.ID, keys.Change{Disabled: new(true)}); err != nil {
		t.Fatal(err)
	}
	if _, err := env.verify(keyText); err != keys.ErrPaused {
		t.Errorf("paused: %v", err)
	}
	if _, err := env.manager.Change(ctx, "acme", keys.KindKey, key.ID, keys.Change{Disabled: new(false)}); err != nil {
		t.Fatal(err)
	}
	next, err := env.manager.Rotate(ctx, "acme", key.ID, keys.Rotation{Overlap: time.Hour})
	if err != nil || !strings.HasPrefix(next.Record.ID, "vck_live_") || next.Record.Scopes != key.Scopes {
		t.Fatalf("%v, %v", next.Record, err)
	}
	for _, text := range []string{keyText, next.Text.Reveal()} {
		if _, err := env.verify(text); err != nil {
			t.Errorf("during the overlap: %v", err)
		}
	}
	rotated, err := env.manager.RotateSecret(ctx, "acme", c.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{secret, rotated.Text.Reveal()} {
		if _, err := env.verifier.VerifyClient(ctx, c.ID, text, time.Now()); err != nil {
			t.Errorf("during the overlap: %v", err)
		}
	}
	for kind, id := range map[keys.Kind]string{keys.KindKey: key.ID, keys.KindClient: c.ID} {
		if err := env.manager.Revoke(ctx, "acme", kind, id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := env.verify(keyText); err != keys.ErrRevoked {
		t.Errorf("revoked: %v", err)
	}
	if _, err := env.verifier.VerifyClient(ctx, c.ID, secret, time.Now()); err != keys.ErrRevoked {
		t.Errorf("revoked: %v", err)
	}
	for i, d := range env.manager.ImportAll(ctx, []keys.Foreign{{Org: "acme", Text: keys.NewSecret(keyText)}}) {
		if d.Err != nil || !d.Existed || !d.Record.Revoked() {
			t.Errorf("%d, imported again: %+v", i, d)
		}
	}
}
