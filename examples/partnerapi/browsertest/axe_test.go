package browsertest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// axePackage is the version of axe-core that looks at pages.
const axePackage = "axe-core@4.14.1"

// axeSource gets axe-core through npm, as that is set up on the machine.
var axeSource = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "axe")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("npm", "pack", "--silent", axePackage)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm pack %s: %w: %s", axePackage, err, out)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(names) != 1 {
		return "", fmt.Errorf("npm pack %s left %v", axePackage, names)
	}
	packed, err := os.ReadFile(names[0])
	if err != nil {
		return "", err
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", err
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if err != nil {
			return "", errors.Join(errors.New("no axe.min.js in "+axePackage), err)
		}
		if header.Name == "package/axe.min.js" {
			source, err := io.ReadAll(files)
			return string(source), err
		}
	}
})

func axe(t *testing.T) string {
	t.Helper()
	source, err := axeSource()
	if err != nil {
		need(t, "axe-core", err)
	}
	return source
}

// A violation is what axe finds.
type violation struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// audit fails the test if axe finds anything in the page as it is shown.
func (p *tab) audit(name, source string) {
	p.t.Helper()
	for _, v := range p.violations(source) {
		for _, node := range v.Nodes {
			p.t.Errorf("%s: %s (%s)\n%s\n%s", name, v.ID, v.Help, node.HTML, node.Summary)
		}
	}
}

func (p *tab) violations(source string) []violation {
	p.t.Helper()
	ctx, cancel := p.within()
	defer cancel()
	if !eval[bool](p, `typeof axe === "object"`) {
		p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := chromedp.Evaluate[bool](source+";true")(ctx, t)
			return err
		}))
	}
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]violation](
		`axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations)`, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("axe: %v", err)
	}
	return found
}

// TestAxeFinds makes sure that axe looks.
func TestAxeFinds(t *testing.T) {
	atFullLength(t)
	t.Parallel()
	h := start(t)
	p := open(t, h.URL)
	p.visit("/manage/sign-in")
	source := axe(t)
	if found := p.violations(source); len(found) > 0 {
		t.Errorf("found %v", found)
	}
	eval[bool](p, `document.querySelector("label").remove(); document.querySelector("h1").style.color = "#eee"; true`)
	var ids []string
	for _, v := range p.violations(source) {
		ids = append(ids, v.ID)
	}
	if all := strings.Join(ids, " "); !strings.Contains(all, "label") || !strings.Contains(all, "color-contrast") {
		t.Errorf("in a page with a field without a label, and grey on white, it finds %v", ids)
	}
}
