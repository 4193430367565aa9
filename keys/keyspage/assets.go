package keyspage

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
)

//go:embed assets
var assetFiles embed.FS

// An asset is a file that pages load. Its name has a hash of its content, so a browser
// can cache it forever.
type asset struct {
	name, contentType, etag string
	content                 []byte
}

var (
	stylesheet = newAsset("page.css", "text/css; charset=utf-8")
	script     = newAsset("page.js", "text/javascript; charset=utf-8")
	icon       = newAsset("icon.svg", "image/svg+xml")
	assets     = []*asset{stylesheet, script, icon}
)

// newAsset panics if the file is not there.
func newAsset(file, contentType string) *asset {
	content, err := assetFiles.ReadFile("assets/" + file)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(content)
	hash := hex.EncodeToString(sum[:8])
	ext := path.Ext(file)
	return &asset{strings.TrimSuffix(file, ext) + "." + hash + ext, contentType, `"` + hash + `"`, content}
}

// headOf returns the elements that load the assets.
func (h *Handler) headOf() (template.HTML, error) {
	var b bytes.Buffer
	err := templates.ExecuteTemplate(&b, "head", map[string]string{
		"Path": h.opts.Path + "/assets/", "Stylesheet": stylesheet.name, "Script": script.name, "Icon": icon.name, "Host": h.opts.Stylesheet,
	})
	return template.HTML(b.String()), err
}

// asset serves the files that pages load.
func (h *Handler) asset(w http.ResponseWriter, r *http.Request) {
	for _, a := range assets {
		if a.name != r.PathValue("file") {
			continue
		}
		header := w.Header()
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
		header.Set("Content-Type", a.contentType)
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox") // for an SVG that is opened by itself
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Etag", a.etag)
		header.Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
		return
	}
	httpjson.Refuse(w, r, h.WriteError, httpjson.RefusalOf(keys.ErrNotFound))
}
