package main

import (
	"fmt"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keysimport"
)

// An other describes one of [keys.Options.OtherFormats], by the name of a preset or by
// the options of a format.
type other struct {
	Preset    string    `json:"preset"`
	Prefix    string    `json:"prefix"`
	Separator string    `json:"separator"`
	Bare      bool      `json:"bare"`
	IDFrom    keys.Part `json:"id_from"`

	format *keys.Format // as read returned it
}

// read returns the format.
func (o *other) read() (format *keys.Format, err error) {
	switch preset, ok := keysimport.Lookup(o.Preset); {
	case o.Preset == "":
		format, err = keys.NewForeignFormat(o.Prefix, &keys.ForeignOptions{Separator: o.Separator, Bare: o.Bare, IDFrom: o.IDFrom})
	case !ok:
		return nil, usageError("configuration: other_keys: there is no preset of that name; see claviger help import")
	case o.Separator != "" || o.Bare || o.IDFrom != "":
		return nil, usageError("configuration: other_keys: a preset takes a prefix alone")
	default:
		format, err = preset.Format(o.Prefix)
	}
	if err != nil {
		return nil, usageError("configuration: other_keys: %v", err)
	}
	o.format = format
	return format, nil
}

// plainFormats returns the other formats whose texts cannot be taken for IDs.
func (c *config) plainFormats() []*keys.Format {
	var all []*keys.Format
	for _, o := range c.Others {
		if _, err := o.format.ForeignID("1"); err == nil { // there is an ID in its texts
			all = append(all, o.format)
		}
	}
	return all
}

// formatOf returns the format of a preset's keys. If the host has several, the prefix
// says which one.
func (c *config) formatOf(p keysimport.Preset, prefix string) (*keys.Format, error) {
	var found []*keys.Format
	for _, o := range c.Others {
		if o.Preset == p.Name && (prefix == "" || o.Prefix == prefix) {
			found = append(found, o.format)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, usageError("the host would not accept such keys: put %s into %q of the configuration, and the same into its program",
			fmt.Sprintf(`{"preset": %q, "prefix": …}`, p.Name), "other_keys")
	}
	return nil, usageError("the configuration has several formats of that preset: say which one with -prefix")
}
