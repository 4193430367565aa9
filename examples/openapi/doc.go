// Package openapi compares what the example host answers with the OpenAPI document
// that it serves. It is a module of its own, since a validator for OpenAPI 3.1 brings
// much that the examples do not need.
//
// Its tests run those of package examples/partnerapi, which write down every request
// and every answer, and then give these to the validator. One generates a client in Go
// from the document with oapi-codegen, and calls the host with it; the program is in
// testdata/client. It runs with CLAVIGER_LONG in the environment. It is skipped where the
// generator cannot be had, but fails if the environment has CI.
package openapi
