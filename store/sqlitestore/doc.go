// Package sqlitestore keeps records in SQLite.
package sqlitestore
