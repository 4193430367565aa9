package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// Exit codes, as help/claviger.txt documents them.
const (
	exitDone     = 0
	exitFailure  = 1
	exitUsage    = 2
	exitNotFound = 3
	exitRefused  = 4 // the credential is not good
	exitUnfit    = 5 // check or audit verify found something wrong, migrate -plan something to do, or import refused a row
	exitState    = 6 // the state of the credential does not permit it
)

var (
	errUsage   = errors.New("usage")
	errRefused = errors.New("the credential is refused")
	errUnfit   = errors.New("the store is not fit")

	// An error that wraps errSilent has been told already.
	errSilent        = errors.New("told already")
	errSilentUsage   = fmt.Errorf("%w: %w", errSilent, errUsage)
	errSilentRefused = fmt.Errorf("%w: %w", errSilent, errRefused)
	errSilentUnfit   = fmt.Errorf("%w: %w", errSilent, errUnfit)
)

// A usage is an error of whoever wrote the command line or the configuration.
type usage struct{ text string }

func (u *usage) Error() string        { return u.text }
func (u *usage) Is(target error) bool { return target == errUsage }

func usageError(format string, args ...any) error { return &usage{fmt.Sprintf(format, args...)} }

// exitCode returns the exit code for an error.
func exitCode(err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errUsage), errors.Is(err, keys.ErrInvalid), errors.Is(err, scopes.ErrGrant):
		return exitUsage
	case errors.Is(err, errRefused):
		return exitRefused
	case errors.Is(err, errUnfit):
		return exitUnfit
	case errors.Is(err, keys.ErrUnavailable), errors.Is(err, keys.ErrUnsettled):
		return exitFailure
	case errors.Is(err, keys.ErrNotFound):
		return exitNotFound
	}
	for _, state := range [...]error{keys.ErrRevoked, keys.ErrExpired, keys.ErrPaused, keys.ErrReplaced} {
		if errors.Is(err, state) {
			return exitState
		}
	}
	return exitFailure
}

// explained adds to an error of package keys what an operator can do about it. The
// names of scopes are what the operator wrote.
func explained(err error) error {
	var refused *scopes.GrantError
	switch {
	case errors.As(err, &refused):
		text := "scopes that cannot be granted:"
		if refused.Reserved != nil {
			text += " reserved: " + strings.Join(refused.Reserved, " ") + ";"
		}
		if refused.Unknown != nil {
			text += " not in the configuration: " + strings.Join(refused.Unknown, " ") + ";"
		}
		return usageError("%s", strings.TrimSuffix(text, ";"))
	case errors.Is(err, keys.ErrUnsettled):
		return fmt.Errorf("%w; caches of other processes may not know it yet: do it again", err)
	}
	return err
}
