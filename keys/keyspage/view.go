package keyspage

import (
	"bytes"
	"embed"
	"html/template"
	"io"
	"net/http"

	"github.com/claviger-auth/claviger/keys"
)

//go:embed templates
var templateFiles embed.FS

var templates = template.Must(template.ParseFS(templateFiles, "templates/*.html"))

// A view is what a page shows, and the template that shows it.
type view struct {
	texts
	Section  *section // nil if the page belongs to none
	Title    string
	Template string
	Content  any
}

// policy is the content security policy of pages: they load only from their own origin,
// and no site shows them in a frame.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; font-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// setHeader sets the header fields that all pages have. The referrer policy is not
// no-referrer. With that policy, browsers would send the origin "null" with forms, so
// that over plain HTTP a form could not be told from that of another site.
func setHeader(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

// write answers with a page.
func (h *Handler) write(w http.ResponseWriter, r *http.Request, status int, v view) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, v.Template, v); err != nil {
		h.writeFailure(w, r, err)
		return
	}
	h.writePage(w, r, status, v.texts, v.Section, v.Title, template.HTML(b.String()))
}

// WritePage answers with a page of the host, such as one to sign in, in the layout and
// with the header fields of the other pages. The title is text. The body goes into the
// main element; the package's stylesheet has rules for headings, paragraphs, forms,
// labels, fields and buttons in it. Because of the content security policy, the page can
// only run scripts of its own origin, and none that stand in the page itself.
func (h *Handler) WritePage(w http.ResponseWriter, r *http.Request, status int, title string, body template.HTML) {
	h.writePage(w, r, status, h.texts(r.Context()), nil, title, body)
}

func (h *Handler) writePage(w http.ResponseWriter, r *http.Request, status int, t texts, s *section, title string, main template.HTML) {
	p, _ := keys.FromContext(r.Context())
	if p.Org == "" {
		p = keys.Principal{}
	}
	frame := struct {
		texts
		Principal keys.Principal
		Tabs      []tab
		Main      template.HTML
	}{t, p, nil, main}
	if p.Org != "" {
		for _, each := range sections {
			frame.Tabs = append(frame.Tabs, tab{t.T(each.Plural), h.at(each), each == s})
		}
	}
	var body, document bytes.Buffer
	if err := templates.ExecuteTemplate(&body, "body", frame); err != nil {
		h.writeFailure(w, r, err)
		return
	}
	page := Page{Title: title, Lang: t.T("en"), Head: h.head, Body: template.HTML(body.String()), Principal: p}
	if err := h.opts.Layout(&document, r, page); err != nil {
		h.writeFailure(w, r, err)
		return
	}
	setHeader(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(document.Bytes()) // a client that has gone needs no answer
}

// A tab leads to a section.
type tab struct {
	Text, URL string
	Current   bool
}

// writeFailure answers 500 if a page cannot be written.
func (h *Handler) writeFailure(w http.ResponseWriter, r *http.Request, err error) {
	h.log(r, err)
	setHeader(w.Header())
	http.Error(w, h.texts(r.Context()).T("This page cannot be shown."), http.StatusInternalServerError)
}

// layout is the default of Options.Layout.
func (h *Handler) layout(w io.Writer, r *http.Request, page Page) error {
	who := nameOf(page.Principal.Label, page.Principal.ID)
	return templates.ExecuteTemplate(w, "layout", struct {
		texts
		Page
		Name, Home, Who, SignOut string
	}{h.texts(r.Context()), page, h.texts(r.Context()).T(h.opts.Name), h.opts.Path + "/", who, h.opts.SignOut})
}
