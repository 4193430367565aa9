//go:build !linux

package main

// faults are none where processes cannot be made to stand still.
func (f *fleet) faults() []fault { return nil }
