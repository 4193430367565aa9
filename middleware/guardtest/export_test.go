package guardtest

// Fails runs a test and reports whether it failed.
var Fails = fails
