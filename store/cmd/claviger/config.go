package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// maxConfig bounds what is read of a configuration.
const maxConfig = 1 << 20

// A config repeats for this program what the host's program says in its
// [keys.Options]. The file help/config.txt documents it. The zero config is a host
// with the zero Options.
type config struct {
	StoreFile string `json:"store_file"`
	Schema    string `json:"schema"`
	Prefix    string `json:"redis_prefix"`
	Replicas  int    `json:"redis_replicas"`

	Keys    *form   `json:"keys"`
	Others  []other `json:"other_keys"`
	Tokens  *form   `json:"tokens"`
	Clients *form   `json:"clients"`
	Scopes  []entry `json:"scopes"`

	RateLimit int      `json:"rate_limit"`
	Plans     bool     `json:"plans"`
	Trail     bool     `json:"trail"`
	Peppers   []pepper `json:"peppers"`

	dir   string // of the file, which paths in it are relative to
	given bool   // whether there is a file
}

// A form is a [keys.Format].
type form struct {
	Prefix       string   `json:"prefix"`
	Layout       string   `json:"layout"`
	Environments []string `json:"environments"`
	AllowForeign bool     `json:"allow_foreign"`
}

// An entry is a [scopes.Scope].
type entry struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Status      string `json:"status"`
}

// A pepper is a [keys.Pepper] whose key is in a file of its own.
type pepper struct {
	Name string `json:"name"`
	File string `json:"file"`
}

// readConfig reads the file that -config or CLAVIGER_CONFIG names, if either does.
func readConfig(file string) (*config, error) {
	if file == "" {
		file = os.Getenv("CLAVIGER_CONFIG")
	}
	if file == "" {
		return new(config), nil
	}
	text, err := readFile(file, maxConfig)
	if err != nil {
		return nil, err
	}
	c := &config{dir: filepath.Dir(file), given: true}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(c); err != nil {
		return nil, usageError("%s: %v", file, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, usageError("%s: data after the configuration", file)
	}
	if err := checkMembers(json.NewDecoder(bytes.NewReader(text))); err != nil {
		return nil, usageError("%s: %v", file, err)
	}
	return c, nil
}

// checkMembers reads one value, and returns an error if an object in it has a member
// twice, or one whose name has other characters than lower-case letters and underscores.
// Package encoding/json takes the last of several members, and ignores the case of names.
func checkMembers(dec *json.Decoder) error {
	token, err := dec.Token()
	open, nested := token.(json.Delim)
	if err != nil || !nested {
		return err
	}
	seen := make(map[string]bool)
	for dec.More() {
		if open == '{' {
			token, err := dec.Token()
			if err != nil {
				return err
			}
			name := token.(string) // nothing else begins a member
			if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
				return fmt.Errorf("there is no member %q; names have lower-case letters and underscores alone", name)
			}
			if seen[name] {
				return fmt.Errorf("member %q is there twice", name)
			}
			seen[name] = true
		}
		if err := checkMembers(dec); err != nil {
			return err
		}
	}
	_, err = dec.Token() // the end
	return err
}

// path returns a path of the configuration, which may be relative to its folder.
func (c *config) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.dir, name)
}

// options returns the options that the host's manager has.
func (c *config) options() (*keys.Options, error) {
	opts := &keys.Options{RateLimit: c.RateLimit, Trail: c.Trail}
	var errs [4]error
	opts.Format, errs[0] = c.Keys.format("keys", keys.Dotted)
	for i := range c.Others {
		format, err := c.Others[i].read()
		if err != nil {
			return nil, err
		}
		opts.OtherFormats = append(opts.OtherFormats, format)
	}
	opts.TokenFormat, errs[1] = c.Tokens.format("tokens", keys.Fixed)
	opts.ClientFormat, errs[2] = c.Clients.format("clients", keys.Apart)
	opts.Catalog, errs[3] = c.catalog()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	if c.Plans {
		// Credentials that are made without a limit get none, and so the host's plan.
		opts.Plan = func(context.Context, string) (int, error) { return 0, nil }
	}
	for _, p := range c.Peppers {
		key, err := readFile(c.path(p.File), keys.MaxLen)
		if err != nil {
			return nil, err
		}
		text := strings.TrimSuffix(strings.TrimSuffix(string(key), "\n"), "\r")
		opts.Peppers = append(opts.Peppers, keys.Pepper{Name: p.Name, Key: keys.NewSecret(text)})
	}
	return opts, nil
}

var layouts = map[string]keys.Layout{"dotted": keys.Dotted, "fixed": keys.Fixed, "apart": keys.Apart}

// format returns the format that f describes, or nil for the default one.
func (f *form) format(member string, layout keys.Layout) (*keys.Format, error) {
	if f == nil {
		return nil, nil
	}
	if f.Layout != "" {
		var ok bool
		if layout, ok = layouts[f.Layout]; !ok {
			return nil, usageError("configuration: %s: the layout is not dotted, fixed or apart", member)
		}
	}
	format, err := keys.NewFormat(f.Prefix, layout, &keys.FormatOptions{Environments: f.Environments, AllowForeign: f.AllowForeign})
	if err != nil {
		return nil, usageError("configuration: %s: %v", member, err)
	}
	return format, nil
}

var statuses = map[string]scopes.Status{"": scopes.Available, "available": scopes.Available, "always": scopes.Always, "reserved": scopes.Reserved}

func (c *config) catalog() (*scopes.Catalog, error) {
	list := make([]scopes.Scope, len(c.Scopes))
	for i, s := range c.Scopes {
		status, ok := statuses[s.Status]
		if !ok {
			return nil, usageError("configuration: scope %q: the status is not available, always or reserved", s.Name)
		}
		list[i] = scopes.Scope{Name: s.Name, Description: s.Description, Status: status}
	}
	catalog, err := scopes.NewCatalog(list...)
	if err != nil {
		return nil, usageError("configuration: %v", err)
	}
	return catalog, nil
}

// UnmarshalJSON reads an object, or the name as text.
func (n *entry) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte(`"`)) {
		return json.Unmarshal(data, &n.Name)
	}
	type plain entry // without this method
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode((*plain)(n))
}

// readFile reads a file that is no longer than most.
func readFile(name string, most int) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, usageError("%v", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, usageError("%v", err)
	}
	if len(text) > most {
		return nil, usageError("%s is longer than %d bytes", name, most)
	}
	return text, nil
}
