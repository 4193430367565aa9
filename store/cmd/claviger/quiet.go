package main

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// The client of Redis logs each failed attempt to connect. The error of a command says
// the same, once.
func init() { redis.SetLogger(quiet{}) }

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
