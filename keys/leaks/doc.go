// Package leaks has the endpoint to which GitHub reports credentials that it finds
// in public: the webhook of its secret scanning partner program. A host that takes
// part in it gives GitHub the pattern of its keys ([keys.Format.Pattern]) and the
// URL of a [Handler]. Then a key that is pushed to a public repository can be ended
// within seconds.
//
//	handler, err := leaks.NewHandler(manager.Verifier(), publicKeys.Key, leaks.Revoke(manager), nil)
//	mux.Handle("POST /leaks", handler)
//
// # What is done with a report
//
// The handler checks that GitHub has signed the report, and then each credential in
// it. That is no use of the credential. For each one whose secret is right, also if
// it has expired or was revoked or paused, it calls the [Policy] and then tells the
// hook of a [keys.Leaked] event. The policy is the host's: [Revoke] and [Pause] are
// ready, and one that writes to the owner is a function of a few lines.
//
// # Answers
//
// The answer to a report is 200, with what GitHub may learn about it:
//
//	[{"token_hash": text, "token_type": text, "label": "true_positive" or "false_positive"}]
//
// The hash is the SHA-256 of the credential, in lower-case hex. A credential is a
// false positive if nobody has it, or if its secret is wrong. Refusals have the form
// of [httpjson.WriteJSON]:
//
//	400 invalid_request          the body is not such a report
//	403 invalid_signature        GitHub has not signed the body
//	405 method_not_allowed       with Allow
//	413 payload_too_large
//	503 temporarily_unavailable  the store, the policy or the public keys failed
//
// A report that is answered 503 may have been acted on in part. It can be sent
// again, and so can any other: all that is done is done again. So somebody who has
// got hold of a report can have done once more what GitHub had done, and nothing
// else.
//
// The format of reports, signatures and answers is in GitHub's documentation of the
// secret scanning partner program.
package leaks
