module github.com/claviger-auth/claviger/examples

go 1.26.0

require github.com/claviger-auth/claviger v0.0.0

require golang.org/x/oauth2 v0.37.0

require (
	github.com/google/go-cmp v0.7.0
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)

replace github.com/claviger-auth/claviger => ../
