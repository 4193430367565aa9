package keys

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
)

// ForeignDigest returns the digest that another system keeps of a part of a
// credential, in one of these forms:
//
//   - SHA-256 or SHA-512 alone, as hex, base64 or base64url, with padding or
//     without. The length says which of the two it is.
//   - sha256$$ or sha512$$ and hex, as Django writes a hash without a salt
//   - $2a$, $2b$ or $2y$: bcrypt, of cost 4 to 13. It covers 72 bytes, so nothing
//     longer matches such a digest.
//   - $argon2id$v=19$…, with at most 64 MiB, 4 passes and 16 lanes
//   - $pbkdf2-sha256$i=…,l=…$…, as of ory/fosite and Hydra, and pbkdf2_sha256$…,
//     as of Django, with at most 1,500,000 iterations
//   - argon2$ or bcrypt$ before one of those above, as of Django
//   - {bcrypt}, {argon2} or {argon2@SpringSecurity_v5_8} before one of those above,
//     and {pbkdf2@SpringSecurity_v5_8}, as of Spring Security
//
// Other text is refused with an [*InvalidError] that does not quote it: an unknown
// form, a cost above these bounds, or one of the library's own forms. Only a check of
// the credential shows whether a digest is what it looks like, so try one before a
// migration.
func ForeignDigest(text string, of Part) (Digest, error) {
	code, ok := of.code()
	if !ok {
		return Digest{}, &InvalidError{FieldDigest, "covers a part that does not exist"}
	}
	form, err := foreignForm(text)
	if err != nil {
		return Digest{}, err
	}
	d, err := newForeignDigest(form, code)
	var unknown *digestError
	if errors.As(err, &unknown) {
		return Digest{}, &InvalidError{FieldDigest, "has an unknown or too large " + unknown.what}
	}
	return d, err
}

// foreignForm returns the stored form of another system's digest.
func foreignForm(text string) (string, error) {
	switch {
	case strings.HasPrefix(text, nameSHA256), strings.HasPrefix(text, nameHMAC), strings.HasPrefix(text, nameForeign):
		return "", &InvalidError{FieldDigest, "is in the library's own form, in which no other system makes them"}
	case strings.HasPrefix(text, "{noop}"):
		return "", &InvalidError{FieldDigest, "is none, but the secret itself"}
	case strings.HasPrefix(text, "{"):
		return springForm(text)
	case strings.HasPrefix(text, "pbkdf2_sha256$"):
		return djangoPBKDF2(text)
	case strings.HasPrefix(text, "argon2$argon2id$"):
		return strings.TrimPrefix(text, "argon2"), nil
	case strings.HasPrefix(text, "bcrypt$$2"):
		return strings.TrimPrefix(text, "bcrypt$"), nil
	case strings.HasPrefix(text, "$"):
		return text, nil
	}
	return plainForm(text)
}

var errForm = &InvalidError{FieldDigest, "is in a form that is not known"}

// plainForm returns the form of a plain hash.
func plainForm(text string) (string, error) {
	size := 0
	if rest, ok := strings.CutPrefix(text, "sha256$$"); ok {
		text, size = rest, 32
	} else if rest, ok := strings.CutPrefix(text, "sha512$$"); ok {
		text, size = rest, 64
	}
	sum, err := hex.DecodeString(text)
	if err != nil && size == 0 {
		sum, err = anyBase64(text)
	}
	if err != nil || size != 0 && len(sum) != size {
		return "", errForm
	}
	switch len(sum) {
	case 32:
		return namePlain256 + base64Digest.EncodeToString(sum), nil
	case 64:
		return namePlain512 + base64Digest.EncodeToString(sum), nil
	}
	return "", errForm
}

// anyBase64 reads base64 and base64url, with padding or without.
func anyBase64(text string) ([]byte, error) {
	encoding := base64.RawStdEncoding.Strict()
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding.Strict()
	}
	if strings.ContainsAny(text, "\r\n") {
		return nil, errForm
	}
	unpadded := strings.TrimRight(text, "=")
	if len(unpadded) != len(text) && len(text)%4 != 0 {
		return nil, errForm
	}
	return encoding.DecodeString(unpadded)
}

// djangoPBKDF2 returns the form of pbkdf2_sha256$iterations$salt$hash, where the
// salt stands as it is and the hash in base64.
func djangoPBKDF2(text string) (string, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 4 {
		return "", errForm
	}
	iterations, err := strconv.Atoi(parts[1])
	if err != nil {
		return "", errForm
	}
	sum, err := anyBase64(parts[3])
	if err != nil {
		return "", errForm
	}
	return pbkdf2Params{iterations, []byte(parts[2]), sum}.text(), nil
}

// Parameters of {pbkdf2@SpringSecurity_v5_8}, if its encoder has no secret of its
// own. Its text is a salt of 16 bytes and a hash of 32, in hex.
const (
	springPBKDF2Iterations = 310_000
	springSaltLen          = 16
)

// springForm returns the form of a digest with the name of its encoder in braces.
func springForm(text string) (string, error) {
	name, rest, _ := strings.Cut(text[1:], "}")
	switch {
	case name == "bcrypt" && strings.HasPrefix(rest, "$2"),
		(name == "argon2" || name == "argon2@SpringSecurity_v5_8") && strings.HasPrefix(rest, "$argon2id$"):
		return rest, nil
	case name == "pbkdf2@SpringSecurity_v5_8":
		both, err := hex.DecodeString(rest)
		if err != nil || len(both) != springSaltLen+32 {
			return "", errForm
		}
		return pbkdf2Params{springPBKDF2Iterations, both[:springSaltLen], both[springSaltLen:]}.text(), nil
	}
	return "", errForm
}
