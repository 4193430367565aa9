package httpjson_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/claviger-auth/claviger/keys/httpjson"
)

// A handler that reads a body and answers.
func ExampleRead() {
	create := func(w http.ResponseWriter, r *http.Request) {
		var name *string
		var quota *int64
		err := httpjson.Read(w, r, 0, httpjson.Optional("name", &name), httpjson.Optional("quota", &quota))
		var refusal *httpjson.Refusal
		if errors.As(err, &refusal) {
			httpjson.Refuse(w, r, nil, *refusal)
			return
		}
		httpjson.Write(w, http.StatusCreated, map[string]any{"name": name, "quota": quota})
	}
	for _, body := range []string{`{"name":"anna"}`, `{"Name":"anna"}`, `{"quota":1.5}`} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		create(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 201 {"name":"anna","quota":null}
	// 400 {"error":"invalid_request","error_description":"the body has a member that is not known here"}
	// 422 {"error":"invalid_value","error_description":"quota is not an integer, or is out of bounds"}
}

func ExampleReadPage() {
	r := httptest.NewRequest("GET", "/things?limit=2&cursor="+httpjson.Cursor("thing_7"), nil)
	page, err := httpjson.ReadPage(r)
	fmt.Printf("%+v %v\n", page, err)
	// Output: {After:thing_7 Limit:2 Live:true} <nil>
}

func ExampleWriteProblem() {
	w := httptest.NewRecorder()
	httpjson.Refuse(w, httptest.NewRequest("GET", "/", nil), httpjson.WriteProblem, httpjson.Refusal{
		Status: http.StatusConflict, Code: "conflict", Description: "Somebody else was faster.",
	})
	fmt.Println(w.Header().Get("Content-Type"))
	fmt.Print(w.Body)
	// Output:
	// application/problem+json
	// {"type":"about:blank","title":"Conflict","status":409,"detail":"Somebody else was faster.","error":"conflict"}
}
