package keysimport

import (
	"errors"
	"slices"

	"github.com/claviger-auth/claviger/keys"
)

// A Preset says how one system writes its credentials, and what its digests cover.
type Preset struct {
	Name  string // "sanctum"
	Title string // "Laravel Sanctum"
	Kind  keys.Kind
	// Covers is the part of a credential that the system hashes. If empty, the
	// column covers of each row says it.
	Covers keys.Part

	prefix    string // of IDs, if the host names none; texts then have no prefix
	separator string // of the ID and the secret in a key; empty if keys have no ID
	dotted    bool   // texts have the form of keys.FormatOptions.AllowForeign
}

var presets = []Preset{
	{Name: "better-auth", Title: "better-auth", Kind: keys.KindKey, Covers: keys.TextPart, prefix: "ba_"},
	{Name: "drf", Title: "djangorestframework-api-key", Kind: keys.KindKey, Covers: keys.TextPart, prefix: "drf_", separator: "."},
	{Name: "sanctum", Title: "Laravel Sanctum", Kind: keys.KindKey, Covers: keys.SecretPart, prefix: "sanctum_", separator: "|"},
	{Name: "seam", Title: "Seam prefixed-api-key", Kind: keys.KindKey, Covers: keys.SecretPart, separator: "_"},
	{Name: "unkey", Title: "Unkey", Kind: keys.KindKey, Covers: keys.TextPart, prefix: "unkey_"},
	{Name: "text", Title: "keys in one part, as of Stripe, GitHub and Zuplo", Kind: keys.KindKey, Covers: keys.TextPart, prefix: "text_"},
	{Name: "dotted", Title: "keys of an ID, a dot and a secret", Kind: keys.KindKey, dotted: true},
	{Name: "hydra", Title: "Ory Hydra and fosite", Kind: keys.KindClient, Covers: keys.SecretPart},
	{Name: "keycloak", Title: "Keycloak", Kind: keys.KindClient, Covers: keys.SecretPart},
	{Name: "go-oauth2", Title: "go-oauth2", Kind: keys.KindClient, Covers: keys.SecretPart},
	{Name: "spring", Title: "Spring Security and Spring Authorization Server", Kind: keys.KindClient, Covers: keys.SecretPart},
}

// Presets returns all presets in a new slice.
func Presets() []Preset { return slices.Clone(presets) }

// Lookup returns the preset with the given name, and whether there is one.
func Lookup(name string) (Preset, bool) {
	i := slices.IndexFunc(presets, func(p Preset) bool { return p.Name == name })
	if i < 0 {
		return Preset{}, false
	}
	return presets[i], true
}

// Format returns the form of the system's keys, for keys.Options.OtherFormats. The
// prefix is what all keys begin with, such as "acme_". If it is empty, keys have no
// common prefix, and the IDs of their records begin with the preset's name or a short
// form of it. The error says that the prefix is not valid, that the preset needs one, or
// that it is a preset of clients. For clients a host needs a keys.Options.ClientFormat
// with keys.FormatOptions.AllowForeign.
func (p Preset) Format(prefix string) (*keys.Format, error) {
	switch {
	case p.Kind != keys.KindKey:
		return nil, errors.New("keysimport: a preset of clients has no format of keys")
	case prefix == "" && p.prefix == "":
		return nil, errors.New("keysimport: the preset needs the prefix of the keys")
	case p.dotted:
		return keys.NewFormat(prefix, keys.Dotted, &keys.FormatOptions{AllowForeign: true})
	case prefix == "":
		return keys.NewForeignFormat(p.prefix, &keys.ForeignOptions{Separator: p.separator, Bare: true})
	}
	return keys.NewForeignFormat(prefix, &keys.ForeignOptions{Separator: p.separator})
}
