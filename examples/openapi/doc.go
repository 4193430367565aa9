// Package openapi compares what the example host answers with the OpenAPI document
// that it serves. It is a module of its own, since a validator for OpenAPI 3.1 brings
// much that the examples do not need.
//
// Its tests run those of package examples/partnerapi, which write down every request
// and every answer, and then give these to the validator.
package openapi
