// Package keyspage has the pages on which the people of an organization see and
// manage its API keys and OAuth clients: what there is, who made it, when it was
// last used and when it ends; to make one, to change, pause, rotate and revoke it.
//
// A [Handler] acts for the organization of the principal that the request's context
// carries (see [keys.FromContext]), as the handlers of package keyshttp do, and by
// the same rules: nobody gives away more than they have, see [keys.Actor].
//
//	handler, err := keyspage.NewHandler(manager, &keyspage.Options{Name: "Acme", SignIn: "/login"})
//	handler.Register(mux, signedIn)
//
// # Behind your own sessions
//
// What is between a browser and the pages is the host's: who is signed in, and
// whether they may manage keys. It puts a principal into the context. A user of the
// host is a principal without a Kind, whose ID stands in CreatedBy of what it makes,
// as "host:" and the ID; its scopes and its limit are what it can give away.
//
//	func signedIn(next http.Handler) http.Handler {
//		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
//			if user := sessions.User(r); user != nil && user.IsAdmin {
//				r = r.WithContext(keys.NewContext(r.Context(), keys.Principal{
//					Org: user.Org, ID: user.Name, RateLimit: 600, Scopes: catalog.Grantable(),
//				}))
//			}
//			next.ServeHTTP(w, r)
//		})
//	}
//
// Whoever has no principal is answered 401, with a link to Options.SignIn. If a
// session has ended while somebody filled in a form, that page keeps what was typed
// and sends it again. A host that answers by itself, or a guard of package
// middleware, does the same with [Handler.WriteError]. The example partnerapi lets
// people sign in with a key, and holds them to what the key may do at each request.
//
// # Layout, words and colours
//
// Options.Layout writes the host's own page around the content of each. It gets
// what belongs into the head and the body:
//
//	func layout(w io.Writer, r *http.Request, page keyspage.Page) error {
//		return shell.Execute(w, page) // a template with {{.Title}}, {{.Head}} and {{.Body}}
//	}
//
// Colours, fonts and corners are custom properties of CSS. A stylesheet of the host
// sets them, in Options.Stylesheet or in its layout:
//
//	:root { --kp-accent: #0b5fff; --kp-font: "Source Sans 3", sans-serif; --kp-radius: 2px; }
//
// The properties are --kp-font and --kp-mono; --kp-ground, --kp-surface, --kp-text,
// --kp-muted, --kp-line, --kp-edge (around fields), --kp-accent, --kp-good,
// --kp-warn, --kp-bad and --kp-bad-fill (of a button); --kp-radius and --kp-width.
// The pages are light or dark as the reader's system is. A host with a switch of
// its own sets color-scheme on :root. All rules of the package are in the cascade
// layer keyspage, so every other rule wins.
//
// Options.Text returns each text in the words or the language of the host.
//
// # What the pages promise
//
// They need no script. With it there are buttons that copy, a form is not sent
// twice by two clicks, and a secret is taken out of a page that is left. They can be
// used with a keyboard and a screen reader, from 320 pixels of width on.
//
// A secret is in one place, the answer to the form that made it. That is not
// stored by browsers and proxies (Cache-Control: no-store) and has no URL. A browser
// that loads it anew sends the form again: so each form that makes a secret is good
// once, see Options.Limiter, and for twelve hours. A second time is answered 409,
// and nothing is made. Searches are sent so that their text does not go into a URL,
// since somebody may look for all of a leaked key; what does is its ID.
//
// Every page has a content security policy that lets it load from its own origin
// alone and stand in no frame, and a form that another site makes a browser send is
// refused by [http.CrossOriginProtection].
//
// A change says which version of the record it was decided on. If that was changed
// meanwhile, in another tab or by somebody else, the page says by what, and nothing
// is overwritten unseen.
//
// # Routes
//
// With the path /manage, and "clients" in the place of "keys" for those:
//
//	GET       /manage/                     leads to the keys
//	GET       /manage/keys                 the list
//	POST      /manage/search/keys          leads to a part of it
//	GET, POST /manage/new/keys             makes a key: 201
//	GET       /manage/keys/{id}            one key
//	GET, POST /manage/keys/{id}/edit
//	POST      /manage/keys/{id}/pause, …/resume
//	GET, POST /manage/keys/{id}/rotate     makes its successor, or a secret: 201, 200
//	GET, POST /manage/keys/{id}/revoke     asks first, and names what descends from it
//	GET       /manage/find/{id}            leads from an ID to its page
//	GET       /manage/assets/{file}        stylesheet, script and icon, for everybody
//
// Forms that were carried out lead to another page with 303. Those that were not are
// shown again with what was typed, under the status that package keyshttp has for
// the reason: 403, 409 or 422; other refusals are pages too.
//
// A list searches and orders the first 1,000 credentials, in the order of their IDs,
// and leads to those after them.
//
// # History
//
// If the manager keeps a trail ([keys.Options].Trail), the page about a credential
// has the newest entries about it, 50 at most: when, what was done or refused, by
// whom and from which address. It looks at the last 5,000 entries of the organization
// and says so if there are older ones; all of a trail is for those who audit it, see
// [keys.Manager.Entries]. It does not verify them. If the trail cannot be read within
// two seconds, the page says that, and is shown without it.
package keyspage
