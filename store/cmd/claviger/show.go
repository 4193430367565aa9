package main

import (
	"context"
	"flag"

	"github.com/claviger-auth/claviger/keys"
)

// byID is the text of help for the commands that take an ID.
const byID = "id"

// showCommand shows a credential; an empty kind stands for all kinds.
func showCommand(kind keys.Kind) command {
	return command{
		name: "show", args: "ID", page: byID, brief: "show a " + noun(kind),
		setup: func(*flag.FlagSet) action {
			return func(ctx context.Context, s *session, args []string) error {
				if err := s.open(ctx); err != nil {
					return err
				}
				rec, err := s.record(ctx, kind, args[0])
				if err != nil {
					return err
				}
				return s.printRecord(ctx, rec)
			}
		},
	}
}

// noun returns the word for a kind; an empty one stands for all kinds.
func noun(kind keys.Kind) string {
	if kind == "" {
		return "credential of any kind"
	}
	return string(kind)
}
