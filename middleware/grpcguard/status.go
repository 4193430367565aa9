package grpcguard

import (
	"net/http"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys/httpjson"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// domain is the domain of every ErrorInfo.
const domain = "claviger"

// statusOf returns a refusal as the error of a call.
func statusOf(r httpjson.Refusal) error {
	var about map[string]string
	if r.Scope != "" {
		about = map[string]string{"scope": r.Scope}
	}
	return newStatus(codeOf(r.Status), r.Description, strings.ToUpper(r.Code), about, r.RetryAfter)
}

// codeOf returns the code for a status of HTTP.
func codeOf(status int) codes.Code {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case httpjson.StatusClientGone:
		return codes.Canceled
	}
	return codes.Unavailable
}

// newStatus returns a status with its details. If retryAfter is 0 seconds, there is no
// RetryInfo.
func newStatus(code codes.Code, text, reason string, about map[string]string, retryAfter int64) error {
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason, Domain: domain, Metadata: about}}
	if retryAfter > 0 {
		wait := time.Duration(retryAfter) * time.Second
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	}
	s := status.New(code, text)
	if detailed, err := s.WithDetails(details...); err == nil { // nil if all text is valid UTF-8
		s = detailed
	}
	return s.Err()
}
