// Package httpjson holds what HTTP handlers that manage things have in common:
// it reads JSON bodies and the queries of lists, and writes answers and
// refusals. The handlers of this module use it, and a host's own handlers may,
// so that all answers of an API look alike.
//
// [Read] reads a body more strictly than package encoding/json does, [ReadPage]
// reads the query of a list, [Write] answers with JSON, and [Refuse] answers with
// a [Refusal]. An [ErrorWriter] decides how refusals look: [WriteJSON] writes the
// form of RFC 6749 §5.2, and [WriteProblem] that of RFC 9457.
//
// All functions are safe for concurrent use. None keeps or shares memory between
// two requests.
package httpjson
