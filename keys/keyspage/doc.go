// Package keyspage has pages on which the people of an organization manage its API keys
// and OAuth clients. The pages show what there is, who made it, when it was last used
// and when it ends. People make, change, pause, rotate and revoke credentials there.
//
// A [Handler] acts for the organization of the principal in the request's context (see
// [keys.FromContext]), as the handlers of package keyshttp do. The same rules hold:
// nobody gives away more than they have, see [keys.Actor].
//
//	handler, err := keyspage.NewHandler(manager, &keyspage.Options{Name: "Acme", SignIn: "/login"})
//	handler.Register(mux, signedIn)
//
// # Behind your own sessions
//
// The host decides who is signed in and whether they may manage keys, and puts a
// principal into the context. A user of the host is a principal without a Kind. What the
// user makes has "host:" and the user's ID as its CreatedBy. The scopes and the limit of
// the principal are what the user can give away.
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
// A request without a principal is answered 401, with a link to Options.SignIn. If a
// session ended while somebody filled in a form, that page keeps what was typed, and has
// a button that sends it again. A host that refuses requests itself, or with a guard of
// package middleware, answers in the same way with [Handler.WriteError]. In the program
// examples/partnerapi people sign in with a key, and may do what the key may do.
//
// # Layout, words and colours
//
// Options.Layout writes the host's own page around the content of each page. It gets the
// content of the head and of the body:
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
// The pages are light or dark like the reader's system. A host with a switch of its own
// sets color-scheme on :root. All rules of the package are in the cascade layer
// keyspage, so every rule of the host wins.
//
// Options.Text returns each text in the words or the language of the host.
//
// # What the pages promise
//
// The pages work without their script. With it, buttons copy text, two clicks do not
// send a form twice, and a secret is removed from a page that is left. The pages can be
// used with a keyboard and with a screen reader, on screens of 320 pixels and more.
//
// A secret is only in the answer to the form that made it. Browsers and proxies do not
// store that answer (Cache-Control: no-store), and it has no URL. A browser that reloads
// it sends the form again. So a form that makes a secret can be carried out once (see
// Options.Limiter), within twelve hours. The second time it is answered 409, and nothing
// is made. Searches are sent with POST, since somebody may search for a whole leaked key.
// Only its ID goes into the URL of the result.
//
// Every page has a content security policy: it loads only from its own origin, and stands
// in no frame. A form that another site makes a browser send is refused by
// [http.CrossOriginProtection].
//
// A form that changes a record names the version that its reader has seen. If the record
// was changed since, in another tab or by somebody else, nothing is overwritten, and the
// page shows what differs.
//
// # Routes
//
// With the path /manage, these are the routes for keys. Those for clients have "clients"
// in place of "keys".
//
//	GET       /manage/                     redirects to the list of keys
//	GET       /manage/keys                 the list
//	POST      /manage/search/keys          redirects to the result of a search
//	GET, POST /manage/new/keys             makes a key: 201
//	GET       /manage/keys/{id}            one key
//	GET, POST /manage/keys/{id}/edit       changes a key
//	POST      /manage/keys/{id}/pause, …/resume
//	GET, POST /manage/keys/{id}/rotate     makes a successor: 201, or a client's secret: 200
//	GET, POST /manage/keys/{id}/revoke     asks first, and names what descends from the key
//	GET       /manage/find/{id}            redirects to the page of a key or a client
//	GET       /manage/assets/{file}        stylesheet, script and icon, for everybody
//
// A form that was carried out redirects to another page with 303, unless it made a
// secret. A form that was refused is shown again with what was typed, and with the status
// that package keyshttp has for the reason: 403, 409 or 422. Other refusals are pages too.
//
// A list searches and sorts 1,000 credentials at a time, in the order of their IDs, and
// has a link to the next ones.
//
// # History
//
// If the manager keeps a trail ([keys.Options].Trail), the page about a credential shows
// the newest entries about it, 50 at most: when, what was done or refused, by whom and
// from which address. It searches the last 5,000 entries of the organization, and says
// so if there are older ones. It does not verify them; [keys.Manager.Entries] and
// [keys.Manager.VerifyTrail] are for audits. If the trail cannot be read within two
// seconds, the page says so and is shown without it.
package keyspage
