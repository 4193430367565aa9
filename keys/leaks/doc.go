// Package leaks has an endpoint to which GitHub reports credentials that it finds in
// public: the webhook of GitHub's secret scanning partner program. A host that takes
// part gives GitHub the pattern of its keys ([keys.Format.Pattern]) and the URL of a
// [Handler]. Then a key that is pushed to a public repository ends within seconds.
//
//	handler, err := leaks.NewHandler(manager.Verifier(), publicKeys.Key, leaks.Revoke(manager), nil)
//	mux.Handle("POST /leaks", handler)
//
// # What is done with a report
//
// The handler checks that GitHub has signed the report, and then checks each credential
// in it. Such a check does not count as a use. If the secret is right, the handler
// calls the [Policy] and then the hook, with a [keys.Leaked] event. It does so even if
// the credential has expired, was revoked or is paused. The host chooses the policy:
// [Revoke] or [Pause], or a function of its own that also writes to the owner.
//
// # Answers
//
// The answer to a report is 200, with a label for each credential:
//
//	[{"token_hash": text, "token_type": text, "label": "true_positive" or "false_positive"}]
//
// The hash is the SHA-256 of the credential, in lower-case hex. A credential is a false
// positive if it does not exist, or if its secret is wrong. Refusals have the form of
// [httpjson.WriteJSON]:
//
//	400 invalid_request          the body is not such a report
//	403 invalid_signature        GitHub has not signed the body
//	405 method_not_allowed       with Allow
//	413 payload_too_large
//	503 temporarily_unavailable  the store, the policy or the public keys failed
//
// A report that is answered 503 may have been acted on in part. Every report can be
// sent again, and is acted on again. So somebody who has got hold of a report can
// repeat what GitHub has caused, and nothing else.
//
// The format of reports, signatures and answers is described in GitHub's documentation
// of the secret scanning partner program.
//
// The program examples/partnerapi accepts reports if it is started with -leaks.
package leaks
