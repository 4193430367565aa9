package main

import (
	"context"
	"flag"
	"fmt"
)

var migrateCommand = command{
	name: "migrate", brief: "make the tables, or bring them up to date",
	setup: func(fs *flag.FlagSet) action {
		dry := fs.Bool("plan", false, "say what would be done, and do nothing")
		return func(ctx context.Context, s *session, _ []string) error {
			if err := s.connect(ctx); err != nil {
				return err
			}
			steps, err := s.db.plan(ctx)
			if err != nil {
				return err
			}
			if !*dry {
				p := s.startProgress()
				p.report("migrating")
				err = s.db.migrate(ctx)
				p.end()
				if err != nil {
					return err
				}
			}
			if err := s.printSteps(steps, *dry); err != nil {
				return err
			}
			if *dry && len(steps) > 0 {
				return errSilentUnfit
			}
			return nil
		}
	},
}

func (s *session) printSteps(steps []string, dry bool) error {
	if s.json {
		return s.printJSON(struct {
			Done  bool     `json:"done"`
			Steps []string `json:"steps"`
		}{!dry, append([]string{}, steps...)}) // never null
	}
	if len(steps) == 0 {
		_, err := fmt.Fprintln(s.stdout, "up to date")
		return err
	}
	how := "done: "
	if dry {
		how = "to do: "
	}
	for _, step := range steps {
		if _, err := fmt.Fprintln(s.stdout, how+plain(step)); err != nil {
			return err
		}
	}
	return nil
}
