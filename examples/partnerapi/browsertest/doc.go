// Package browsertest drives the pages of the partner API in a real browser. It is
// a module of its own, so that nobody else needs the browser's driver.
//
// The tests need Chromium, and npm to get axe-core, which looks for barriers to
// people with disabilities. Without them they are skipped, but fail if the
// environment has CI. With SCREENSHOTS set to a folder, they leave pictures of each
// page there.
package browsertest
