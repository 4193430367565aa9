package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
)

// An exchange is a request and its answer. The module examples/openapi compares
// those of all tests with the OpenAPI document.
type exchange struct {
	Method, URL string
	Header      http.Header
	Body        []byte // as far as the API has read it

	Status         int
	ResponseHeader http.Header
	ResponseBody   []byte
}

// exchanges is the file that exchanges are written to, one in a line. It is nil
// unless the environment names one.
var exchanges = sync.OnceValue(func() *os.File {
	path := os.Getenv("PARTNERAPI_EXCHANGES")
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	return file
})

// record writes the exchanges of a handler to the file.
func record(next http.Handler) http.Handler {
	file := exchanges()
	if file == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/manage/") { // pages for people, and no part of the API
			next.ServeHTTP(w, r)
			return
		}
		x := exchange{Method: r.Method, URL: r.URL.RequestURI(), Header: r.Header.Clone()}
		var body bytes.Buffer
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, &body), r.Body}
		c := &copied{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(c, r)
		x.Body, x.Status, x.ResponseHeader, x.ResponseBody = body.Bytes(), c.status, w.Header(), c.body.Bytes()
		line, err := json.Marshal(x)
		if err == nil {
			_, err = file.Write(append(line, '\n')) // in one piece, since the file is opened to append
		}
		if err != nil {
			panic(err)
		}
	})
}

// copied keeps a copy of an answer.
type copied struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (c *copied) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *copied) Write(p []byte) (int, error) {
	c.body.Write(p)
	return c.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (c *copied) Unwrap() http.ResponseWriter { return c.ResponseWriter }
