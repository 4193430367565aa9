package keyspage

import (
	"net/url"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

// A section is the pages about one kind of credential, with the texts that differ from
// kind to kind.
type section struct {
	kind keys.Kind
	path string // relative to the path of the handler

	Plural, Intro, New, Empty, None, One, Many string
	More                                       string // says that a list is not complete
	Made, Issued, IssuedHint, Secret           string // on the pages that make a credential
	ShowEnded                                  string
	Edit, Rotate, RotateHint, Overlap          string
	End, Ending, Ended, EndHint                string // on the page that revokes
	Alone, Family, Itself                      string // on the page that revokes: what ends
	Sent                                       string // says that a form was sent twice
	Paused, Resumed, Changed                   string // say what was done
}

// Section returns s, for templates in which another field hides a field of s.
func (s *section) Section() *section { return s }

// IsKey reports whether the section is that of keys.
func (s *section) IsKey() bool { return s.kind == keys.KindKey }

var sections = []*section{
	{
		kind: keys.KindKey, path: "keys",
		Plural: n("Keys"), Intro: n("Keys let programs use the API in the name of your organization."),
		New: n("New key"), Empty: n("There are no keys yet."), None: n("No key matches."), One: n("1 key"), Many: n("%d keys"),
		More: n("Your organization has more keys. These are the ones that are searched and ordered here."),
		Made: n("Create key"), Issued: n("Your new key"), IssuedHint: n("Copy it now and keep it where only its program can read it. It is not shown again."), Secret: n("Key"),
		ShowEnded: n("Show revoked keys"),
		Edit:      n("Edit key"), Rotate: n("Rotate key"),
		RotateHint: n("You get a new key with the name, scopes and settings of this one. During the overlap both work, so that nothing stops while you replace it."),
		Overlap:    n("How long the old key keeps working"),
		End:        n("Revoke key"), Ending: n("Revoke"), Ended: n("Revoked"),
		EndHint: n("From then on the key does not work any more. This cannot be undone. To stop it for a while, pause it instead."),
		Alone:   n("Revoke this key alone"), Family: n("Revoke this key and all that descends from it"),
		Itself: n("This is the key that you are signed in with. You will be signed out."),
		Sent:   n("This form was sent before. If it made a key, that is in the list, and is not shown again: if you did not save it, revoke it and create another one."),
		Paused: n("The key is paused."), Resumed: n("The key works again."), Changed: n("The key was changed."),
	},
	{
		kind: keys.KindClient, path: "clients",
		Plural: n("Clients"), Intro: n("Clients exchange an ID and a secret for access tokens that work for a short time (OAuth 2.0 client credentials)."),
		New: n("New client"), Empty: n("There are no clients yet."), None: n("No client matches."), One: n("1 client"), Many: n("%d clients"),
		More: n("Your organization has more clients. These are the ones that are searched and ordered here."),
		Made: n("Create client"), Issued: n("Your new client secret"), IssuedHint: n("Copy it now and keep it where only its program can read it. It is not shown again."), Secret: n("Client secret"),
		ShowEnded: n("Show deleted clients"),
		Edit:      n("Edit client"), Rotate: n("New secret"),
		RotateHint: n("The client gets a new secret and keeps its ID. During the overlap both secrets work, so that nothing stops while you replace it. Its tokens keep working."),
		Overlap:    n("How long the old secret keeps working"),
		End:        n("Delete client"), Ending: n("Delete"), Ended: n("Deleted"),
		EndHint: n("From then on the client gets no tokens, and its tokens do not work any more. This cannot be undone. To stop it for a while, pause it instead."),
		Alone:   n("Delete this client alone"), Family: n("Delete this client and all that descends from it"),
		Itself: n("You are signed in with this client. You will be signed out."),
		Sent:   n("This form was sent before. If it made a secret, that is not shown again: if you did not save it, create another one."),
		Paused: n("The client is paused."), Resumed: n("The client works again."), Changed: n("The client was changed."),
	},
}

// sectionOf returns the section of a kind, or nil.
func sectionOf(kind keys.Kind) *section {
	for _, s := range sections {
		if s.kind == kind {
			return s
		}
	}
	return nil
}

// newURL and searchURL return the URLs of forms. They are not below the URL of the list,
// where the pages of IDs are.
func (h *Handler) newURL(s *section) string    { return h.opts.Path + "/new/" + s.path }
func (h *Handler) searchURL(s *section) string { return h.opts.Path + "/search/" + s.path }

// at returns the path of a section's list, or of the page below it that parts name.
func (h *Handler) at(s *section, parts ...string) string {
	all := []string{h.opts.Path, s.path}
	for _, part := range parts {
		all = append(all, url.PathEscape(part))
	}
	return strings.Join(all, "/")
}
