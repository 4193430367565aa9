// Package httpjson has what the handlers of a management API share: it reads JSON
// bodies and the queries of lists, and writes answers and refusals. The handlers of
// this module use it. A host's own handlers can use it too, so that all answers of an
// API look alike.
//
// [Read] reads a body more strictly than package encoding/json does, [ReadPage]
// reads the query of a list, [Write] answers with JSON, and [Refuse] answers with
// a [Refusal]. An [ErrorWriter] decides how refusals look: [WriteJSON] writes the
// form of RFC 6749 §5.2, and [WriteProblem] that of RFC 9457.
//
// All functions are safe for concurrent use. None shares memory between two requests.
//
// The webhooks of examples/partnerapi are management handlers of a host with this package.
package httpjson
