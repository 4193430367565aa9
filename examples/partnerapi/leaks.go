package main

import (
	"fmt"
	"os"

	"github.com/claviger-auth/claviger/keys/leaks"
)

// acceptReports makes the API accept GitHub's reports of keys and tokens that were
// found in public, and revoke these. The file has GitHub's public keys, as GitHub serves
// them at https://api.github.com/meta/public_keys/secret_scanning. It is read once. A
// host that runs for months should fetch them from time to time.
//
// The route is not in the OpenAPI document, since it is for GitHub alone.
func (a *api) acceptReports(file string) error {
	document, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	public, err := leaks.ParsePublicKeys(document)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	a.leaks, err = leaks.NewHandler(a.manager.Verifier(), public.Key, leaks.Revoke(a.manager), &leaks.Options{
		Hook: logHook(a.log), Logger: a.log,
	})
	return err
}
